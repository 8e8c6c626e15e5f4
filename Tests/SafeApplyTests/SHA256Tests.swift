import SafeApply
import Testing

@Suite("Checksums of snapshots")
struct SHA256Tests {
    @Test(
        "the examples of FIPS 180-4 have their sums",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func knownSums(_ text: String, _ sum: String) {
        #expect(SHA256.hexadecimal(of: Array(text.utf8)) == sum)
    }

    /// The sum of the sums of "", "a", "aa" and so on, as sha256sum(1) has it.
    @Test("every length around the ends of blocks is filled up correctly")
    func lengths() {
        let sums = (0...200).map { SHA256.hexadecimal(of: [UInt8](repeating: 0x61, count: $0)) }
        #expect(
            SHA256.hexadecimal(of: Array(sums.joined().utf8))
                == "eb555248bd20c7831e511d4461b42c9b084e3a64b44d57b00051172f8afe03ff")
    }
}
