import Glibc

/// One of the disks that a power cut could leave: for each unsure thing, what became of it.
struct DiskChoice {
    /// Of each file's sectors, how many of the later versions had come (the last of them is there); by file and sector
    /// as in ``DiskStates``.
    var versions: [[Int]]
    var sizes: [Int]
    var names: Set<Int>
    /// Sectors whose 8-byte words are a mixture: by file and sector, with a seed each.
    var torn: [(file: Int, sector: Int, seed: UInt64)] = []

    /// The disk.
    func image(of states: DiskStates) -> DiskImage {
        let (names, directories) = states.names(with: names)
        var contents: [DiskHistory.FileID: [UInt8]] = [:]
        for (index, file) in states.files.enumerated() {
            var bytes = file.sure
            for (sector, count) in zip(file.sectors, versions[index]) where count > 0 {
                bytes.put(sector.versions[count - 1].bytes, at: sector.number * DiskHistory.sectorBytes)
            }
            for tear in torn where tear.file == index { Self.tear(&bytes, file.sectors[tear.sector], tear.seed) }
            let size = file.sizes[sizes[index]]
            bytes.removeLast(max(0, bytes.count - size))
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
            contents[file.id] = bytes
        }
        var image = DiskImage()
        image.directories = directories
        for (path, id) in names { image.files[path] = contents[id] ?? [] }
        return image
    }

    /// Takes each word from some version of the sector.
    private static func tear(_ bytes: inout [UInt8], _ sector: DiskStates.Sector, _ seed: UInt64) {
        var chance = Chance(seed: seed)
        let start = sector.number * DiskHistory.sectorBytes
        for word in stride(from: 0, to: min(DiskHistory.sectorBytes, bytes.count - start), by: 8) {
            let count = Int.random(in: 0...sector.versions.count, using: &chance)
            guard count > 0 else { continue }
            let version = sector.versions[count - 1].bytes
            for offset in word..<min(word + 8, max(word, version.count)) { bytes[start + offset] = version[offset] }
        }
    }
}

extension DiskStates {
    /// What nothing that is unsure has happened to.
    var nothing: DiskChoice {
        DiskChoice(
            versions: files.map { $0.sectors.map { _ in 0 } },
            sizes: files.map { _ in 0 },
            names: []
        )
    }

    /// All disks, with sectors whole.
    var allChoices: [DiskChoice] {
        var choices = nameChoices.map { names in
            var choice = nothing
            choice.names = names
            return choice
        }
        func branch(_ count: Int, _ change: (inout DiskChoice, Int) -> Void) {
            guard count > 1 else { return }
            choices = choices.flatMap { choice in
                (0..<count).map { number in
                    var branched = choice
                    change(&branched, number)
                    return branched
                }
            }
        }
        for (index, file) in files.enumerated() {
            for (sector, state) in file.sectors.enumerated() {
                branch(state.versions.count + 1) { $0.versions[index][sector] = $1 }
            }
            branch(file.sizes.count) { $0.sizes[index] = $1 }
        }
        return choices
    }

    /// How a disk comes about.
    enum Manner: CaseIterable {
        case nothing
        case everything
        case someFiles
        case someSectors
        case pagesOfManyTimes
        /// Each sector as it was at one of two moments: something old beside something new.
        case twoMoments
        case allButOne
        case onlyOne
        case tornPages
        case tornSectors
    }

    /// A disk by chance.
    func choice(_ manner: Manner, _ chance: inout Chance) -> DiskChoice {
        var choice = nothing
        for (index, file) in files.enumerated() where file.sizes.count > 1 {
            choice.sizes[index] = Int.random(in: 0..<file.sizes.count, using: &chance)
        }
        choice.names = chance.oneIn(2) ? nameChoices[unsure.count] : nameChoices.randomElement(using: &chance)!
        for (index, file) in files.enumerated() {
            let isLatest = Bool.random(using: &chance)
            let times = [0] + Set(file.sectors.flatMap { $0.versions.map(\.time) }).sorted()
            let moments = (times.randomElement(using: &chance)!, times.randomElement(using: &chance)!)
            var pageTimes: [Int: Int] = [:]
            for (number, sector) in file.sectors.enumerated() {
                let all = sector.versions.count
                let page = sector.number / (4096 / DiskHistory.sectorBytes)
                let isPageTorn = manner == .tornPages && chance.oneIn(4)
                let time = pageTimes[page] ?? Int.random(in: 0...self.time, using: &chance)
                pageTimes[page] = time
                let moment = Bool.random(using: &chance) ? moments.0 : moments.1
                choice.versions[index][number] =
                    switch manner {
                    case .nothing, .onlyOne: 0
                    case .everything, .allButOne: all
                    case .someFiles: isLatest ? all : 0
                    case .someSectors: Int.random(in: 0...all, using: &chance)
                    case .twoMoments: sector.versions.count { $0.time <= moment }
                    case .pagesOfManyTimes, .tornPages, .tornSectors:
                        isPageTorn
                            ? Int.random(in: 0...all, using: &chance) : sector.versions.count { $0.time <= time }
                    }
            }
        }
        let places = files.indices.flatMap { file in files[file].sectors.indices.map { (file: file, sector: $0) } }
        guard let place = places.randomElement(using: &chance) else { return choice }
        switch manner {
        case .allButOne: choice.versions[place.file][place.sector] = 0
        case .onlyOne:
            choice.versions[place.file][place.sector] = files[place.file].sectors[place.sector].versions.count
        case .tornSectors:
            for _ in 0..<3 {
                let place = places.randomElement(using: &chance)!
                choice.torn.append((place.file, place.sector, chance.next()))
            }
        default: break
        }
        return choice
    }
}
