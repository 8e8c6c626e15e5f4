import Glibc

/// The latchkey that was built beside these tests.
package enum BuiltBinary {
    /// Its absolute path: SwiftPM puts the test bundle and the programs into one folder.
    package static let path: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, Int(PATH_MAX))
        let tests = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return tests.prefix(upTo: tests.lastIndex(of: "/") ?? tests.startIndex) + "/latchkey"
    }()
}
