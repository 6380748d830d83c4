internal import _CMappedLog

/// What stands at a place where a frame may start.
enum FrameFinding: Sendable {
    /// The word is 0.
    case empty
    case frame(Frame)
    /// The checksum is right, but this version doesn't know what it is; the text says which part.
    case unsupported(Frame, String)
    /// Not a frame; the text says what is wrong.
    case bad(String)

    /// Judges a frame whose extent fits the segment, by its header and the checksum of its bytes.
    init(word: FrameWord, offset: UInt64, raw: mlog_frame_header, crc: UInt32) {
        let frame = Frame(offset: offset, word: word, lag: raw.lag, timestamp: raw.timestamp)
        if raw.crc != crc {
            self = .bad("CRC \(raw.crc.hexadecimal(digits: 8)), its bytes have \(crc.hexadecimal(digits: 8))")
        } else if word.kind == .lost && raw.timestamp < 0 {
            self = .bad("a lost frame whose next sequence is beyond 2^63")
        } else if let part = word.unsupportedPart {
            self = .unsupported(frame, part)
        } else {
            self = .frame(frame)
        }
    }
}

extension FrameWord {
    /// What is wrong with a frame of this word at this offset, or nil: it lies inside the data region.
    func misfit(at offset: UInt64, in geometry: SegmentGeometry) -> String? {
        if geometry.fits(offset: offset, size: frameSize, isEnd: kind == .end && length == 0) { return nil }
        return "a frame of \(frameSize) bytes, which doesn't fit into the segment"
    }
}
