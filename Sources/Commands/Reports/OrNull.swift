/// A value that JSON shows as null while it is missing, so that a reader always finds its key.
///
/// The `Encodable` that Swift derives leaves out an optional that is nil.
@propertyWrapper
package struct OrNull<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    /// The value, if there is one.
    package var wrappedValue: Value?

    /// A value or none.
    package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    package init(from decoder: any Decoder) throws {
        wrappedValue = try decoder.singleValueContainer().decode(Value?.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(wrappedValue)
    }
}
