import Testing

/// What the command says of itself.
struct UsageTests {
    @Test("It has a version")
    func hasVersion() async throws {
        let outcome = try await Mlog.run("--version")
        #expect(outcome.status == 0)
        #expect(outcome.text.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
    }

    @Test(
        "Each subcommand has help with examples",
        arguments: ["create", "append", "tail", "info", "verify", "recover", "repair", "tailers", "list", "destroy"]
    )
    func hasHelp(command: String) async throws {
        let outcome = try await Mlog.run(command, "--help")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.text.contains("OVERVIEW: "))
        #expect(outcome.text.contains("Examples:\n  mlog \(command) ") || outcome.text.contains("| mlog \(command) "))
        #expect(outcome.lines.allSatisfy { $0.count <= 80 || $0.hasPrefix("USAGE: ") })
    }

    @Test(
        "Wrong usage is one line and status 2",
        arguments: [
            "what", "--what", "tail", "create a b", "create shm:.a", "info ''",
            "create sysv:x", "create a --segments 3", "snapshot a shm:b", "list files",
        ]
    )
    func refusesNonsense(arguments: String) async throws {
        let outcome = try await Mlog.shell("$mlog \(arguments)")
        #expect(outcome.status == 2)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test(
        "Wrong usage says what is valid",
        arguments: [
            ("tail a --from foo", "sequence:N"), ("tail a -n x", "+N"), ("append a --durability 5", "10ms"),
            ("create a --durability 5", "10ms"), ("info shm:x/y", "shm:NAME"),
            ("info sysv:a#0", "PATH#ID"), ("create a --segments 3", "--retain-segments"),
            ("tail a --format xml", "length-prefixed"),
            ("tailers a reset x --to foo", "sequence:N"), ("tail a --reverse --from end", "--reverse"),
        ]
    )
    func saysWhatIsValid(arguments: String, hint: String) async throws {
        let outcome = try await Mlog.shell("$mlog \(arguments)")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(hint))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("A log can't be made in a directory that is missing", arguments: ["create", "append --create"])
    func namesMissingParent(command: String) async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.shell("$mlog \(command) \(log.path)/y < /dev/null")
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("its parent directory \(log.path) is missing"))
    }

    @Test("An error stays one line, whatever is in a path")
    func errorsStayOneLine() async throws {
        let outcome = try await Mlog.run("info", "/nowhere/a\nb\u{1B}[31m")
        #expect(outcome.status == 1)
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
        #expect(!outcome.errors.contains("\u{1B}"))
    }

    @Test("A stream that is closed is an error where it is needed, and never a file of the log")
    func survivesClosedStreams() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let statuses = try await Mlog.shell(
            """
            $mlog append \(log.path) <&-; echo $?
            $mlog tail --as x \(log.path) >&-; echo $?
            echo two | $mlog append \(log.path) <&0 >&- 2>&-; echo $?
            $mlog append \(log.path) --format length-prefixed 2>&- <<< "no length"; echo $?
            """
        )
        #expect(statuses.lines == ["1", "1", "0", "1"])
        #expect(
            statuses.errors == """
                mlog: standard input: Bad file descriptor
                mlog: standard output: Bad file descriptor

                """
        )
        #expect(try await Mlog.run("tail", log.path).lines == ["one", "two"])
        #expect(try await Mlog.run("verify", log.path).status == 0)
        #expect(try await Mlog.run("tail", "--as", "x", log.path).lines == ["one", "two"])
    }

    @Test("Shells get completion", arguments: ["bash", "zsh", "fish"])
    func completes(shell: String) async throws {
        let outcome = try await Mlog.run("--generate-completion-script", shell)
        #expect(outcome.status == 0)
        #expect(outcome.text.contains("length-prefixed"))
    }

    @Test("Who reads the help may go away")
    func helpSurvivesBrokenPipe() async throws {
        let outcome = try await Mlog.shell("$mlog --help | true; echo ${PIPESTATUS[0]}")
        #expect(outcome.lines == ["0"])
        #expect(outcome.errors == "")
    }
}
