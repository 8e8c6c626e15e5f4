import CLinux
import Glibc

/// A set of nftables that holds IPv4 and IPv6 as kinds of packets, each with a timeout:
/// `set trial { type ether_type; flags timeout; }`.
///
/// A rule `meta protocol @trial` matches while they are there. Changing the set needs no program and little memory.
/// All functions work in the network of the calling thread and block until the kernel has answered.
package struct TimedSet: Sendable, Equatable {
    /// The family of its table: NFPROTO_ of linux/netfilter.h.
    package enum TableFamily: UInt8, Sendable, CaseIterable {
        case inet = 1
        case ip = 2
        case ip6 = 10

        /// The family that nft(8) calls by this name; nil for others.
        package init?(_ name: String) {
            guard let family = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
            self = family
        }
    }

    private let family: TableFamily
    private let table: String
    private let set: String

    /// The kinds of packets: ETH_P_IP and ETH_P_IPV6 of linux/if_ether.h, in network order.
    private static let kinds: [[UInt8]] = [[0x08, 0x00], [0x86, 0xDD]]

    /// The set of that name, which need not exist.
    package init(family: TableFamily, table: String, set: String) {
        self.family = family
        self.table = table
        self.set = set
    }

    /// Fills sets for so many seconds from now, in one transaction.
    ///
    /// - Parameters:
    ///   - sets: the sets.
    ///   - seconds: how long the elements stay; at least 1.
    /// - Throws: `file` if the kernel refuses, with ENOENT if a set is missing. Then no set was changed.
    package static func renew(_ sets: [TimedSet], seconds: Int) throws(HostError) {
        // With a timeout of 0 an element would stay forever.
        precondition(seconds > 0, "elements without a timeout")
        // Emptied first, because before Linux 6.12 adding an element again does not extend it. Packets see the set as
        // it was before the transaction or as it is after it; before Linux 6.17 one that passes at that very moment may
        // find it empty (nf_tables: restart set lookup on base_seq change), and the previous rules decide about it.
        try commit(sets.flatMap { [$0.flush, $0.fill(seconds: seconds)] }, to: "renew it")
    }

    /// Empties sets, in one transaction; a missing set is empty.
    ///
    /// - Parameter sets: the sets.
    /// - Throws: `file` if the kernel refuses; then each set that can be emptied is empty.
    package static func close(_ sets: [TimedSet]) throws(HostError) {
        do {
            try commit(sets.map(\.flush), to: "empty it")
        } catch .file(_, _, ENOENT) where sets.count == 1 {
            return
        } catch {
            guard sets.count > 1 else { throw error }
            // One set that cannot be emptied must not keep the others open.
            var trouble: HostError?
            for set in sets {
                do { try close([set]) } catch { trouble = error }
            }
            if let trouble { throw trouble }
        }
    }

    /// Whether the kernel shows all of these sets empty; a missing set is empty.
    package static func areClosed(_ sets: [TimedSet]) -> Bool { sets.allSatisfy(\.isEmpty) }

    /// Whether the kernel shows no element whose time has not run out; a missing set is empty.
    package var isEmpty: Bool {
        var isEmpty = true
        do {
            // The kernel leaves out elements whose time has run out.
            try NetfilterSocket().list(request(NFT_MSG_GETSETELEM), to: "list it") { attributes in
                let elements = NetlinkMessage.value(of: NFTA_SET_ELEM_LIST_ELEMENTS, in: attributes)
                if elements?.isEmpty == false { isEmpty = false }
            }
        } catch .file(_, _, ENOENT) {
            return true
        } catch {
            return false
        }
        return isEmpty
    }

    // MARK: - Requests

    private static func commit(_ requests: [NetfilterRequest], to operation: String) throws(HostError) {
        guard !requests.isEmpty else { return }
        try NetfilterSocket().commit(requests, to: operation)
    }

    /// A request to delete elements that names none is one to delete all.
    private var flush: NetfilterRequest { request(NFT_MSG_DELSETELEM) }

    private func fill(seconds: Int) -> NetfilterRequest {
        // Milliseconds, in network order (nf_tables_newsetelem of the kernel's nf_tables_api.c).
        let timeout = withUnsafeBytes(of: (UInt64(seconds) * 1_000).bigEndian) { Array($0) }
        let elements = Self.kinds.flatMap { kind in
            NetlinkMessage.nested(
                NFTA_LIST_ELEM,
                NetlinkMessage.nested(NFTA_SET_ELEM_KEY, NetlinkMessage.attribute(NFTA_DATA_VALUE, kind))
                    + NetlinkMessage.attribute(NFTA_SET_ELEM_TIMEOUT, timeout))
        }
        return request(
            NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, NetlinkMessage.nested(NFTA_SET_ELEM_LIST_ELEMENTS, elements))
    }

    private func request(
        _ type: nf_tables_msg_types, flags: Int32 = 0, _ elements: [UInt8] = []
    ) -> NetfilterRequest {
        NetfilterRequest(
            subject: "set \(family) \(table) \(set)", type: type, family: family.rawValue, flags: flags,
            attributes: NetlinkMessage.attribute(NFTA_SET_ELEM_LIST_TABLE, table)
                + NetlinkMessage.attribute(NFTA_SET_ELEM_LIST_SET, set) + elements)
    }
}
