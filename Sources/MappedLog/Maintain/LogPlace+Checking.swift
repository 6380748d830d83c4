internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension LogPlace {
    /// Finds a log to be checked: where `options.json` is damaged, by the header of its first good segment.
    ///
    /// - Throws: `notFound`, `notALog`, `unsupportedVersion`; `damaged` where no segment tells what log this is.
    /// - Returns: The log, and what is wrong with `options.json`.
    static func checking(_ location: LogLocation) throws(LogError) -> (LogPlace, LogError?) {
        if case .file(let path) = location { try checkDirectory(path) }
        do throws(LogError) {
            let place = try LogPlace(reading: location)
            if let (found, fault) = try place.believingHeaders() { return (found, fault) }
            return (place, try place.medium.readSettings().fault)
        } catch  where error.code == .damaged {
            let medium = try unreadMedium(location)
            for name in try medium.listSegments() {
                guard let found = (try? medium.openForReading(name.base)).flatMap({ $0 }),
                    let header = try? found.header(base: name.base, of: nil)
                else { continue }
                var options = LogOptions(defaultsFor: location)
                options.segmentSize = header.geometry.segmentSize
                options.permissions = found.file.permissions
                let settings = LogSettings(id: header.logID, options: options)
                let place = try Self.medium(location, settings)
                return (LogPlace(medium: place, id: header.logID, geometry: header.geometry), error)
            }
            throw error
        }
    }

    private static func checkDirectory(_ path: FilePath) throws(LogError) {
        do throws(LogError) { _ = try OpenFile(path, O_RDONLY | O_DIRECTORY) } catch  where error.isAbsence {
            let isFile = error.errno == .notDirectory
            throw LogError(
                isFile ? .notALog : .notFound,
                file: path,
                expected: "a directory",
                found: isFile ? "something else" : "nothing",
                advice: "check the path, or make a log with `mlog create`"
            )
        }
    }

    /// The log with the segment size of its headers, where all that are right agree on another than `options.json`.
    private func believingHeaders() throws(LogError) -> (LogPlace, LogError)? {
        var size: UInt64?
        for name in try medium.listSegments() {
            guard let file = (try? medium.openForReading(name.base)).flatMap({ $0 }),
                let header = try? file.header(base: name.base, of: nil), header.logID == id
            else { continue }
            if header.geometry == geometry || size.map({ $0 != header.geometry.segmentSize }) ?? false { return nil }
            size = header.geometry.segmentSize
        }
        guard let size else { return nil }
        let fault = LogError(
            .damaged,
            file: medium.settingsPath,
            expected: "segments of \(size) bytes, as their headers say",
            found: "\(geometry.segmentSize)",
            advice: "restore the file from a copy, or run `mlog repair`"
        )
        return (LogPlace(medium: medium, id: id, geometry: SegmentGeometry(segmentSize: size)), fault)
    }

    /// Where the last writer left the log at a clean close, if that is noted.
    var cleanClose: mlog_append_slot? {
        guard let file = try? medium.openControl(writable: false),
            let control = try? ControlBlock(file, writable: false), control.namesItself(id)
        else { return nil }
        return control.cleanClose?.slot
    }

    /// The slot of a log with writers; and of one without, where the last of them left it, if that is known.
    ///
    /// - Parameter writers: Who has the log open; nil where that can't be found out.
    /// - Returns: The two slots.
    func slots(_ writers: WritersAlive?) -> (live: mlog_append_slot?, hint: mlog_append_slot?) {
        guard let file = try? medium.openControl(writable: false), let system = try? SystemIdentity.current(),
            let control = try? ControlBlock(file, writable: false), control.namesItself(id)
        else { return (nil, nil) }
        let isReady = control.isReady(on: system, for: id)
        if writers.map({ $0.shared > 0 }) ?? true, isReady { return (control.words.currentSlot(), nil) }
        return (nil, control.cleanClose?.slot ?? (isReady ? control.words.currentSlot() : nil))
    }
}
