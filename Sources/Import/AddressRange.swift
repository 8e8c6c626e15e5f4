import Netfilter

extension CIDR {
    /// The networks that a range of addresses, such as `10.0.0.5-10.0.0.9`, consists of; nil if it is none.
    static func range(_ text: String) -> [CIDR]? {
        let ends = text.split(separator: "-").compactMap { try? IPAddress(parsing: String($0)) }
        guard ends.count == 2, ends[0].family == ends[1].family, ends[0] <= ends[1] else { return nil }
        var networks: [CIDR] = []
        var next = ends[0]
        let longest = next.bytes.count * 8
        while networks.count < 512 {
            // The largest network that begins here and ends in the range.
            let fitting = (0...longest).lazy.compactMap { CIDR(of: next, prefixLength: $0) }.first {
                $0.address == next && $0.last <= ends[1]
            }
            guard let network = fitting else { return nil }
            networks.append(network)
            guard network.last < ends[1], let following = network.last.next else { return networks }
            next = following
        }
        return nil
    }

    private var last: IPAddress {
        let bytes = address.bytes.enumerated().map { index, byte in
            let kept = min(max(prefixLength - index * 8, 0), 8)
            return byte | UInt8(truncatingIfNeeded: 0xff >> kept)
        }
        return IPAddress(bytes: bytes) ?? address
    }
}

extension IPAddress {
    fileprivate var next: IPAddress? {
        var bytes = bytes
        for index in bytes.indices.reversed() {
            bytes[index] &+= 1
            if bytes[index] != 0 { return IPAddress(bytes: bytes) }
        }
        return nil
    }
}
