import ArgumentParser

/// Whether the answers are only observed, or what is observed is applied.
package struct ObservationOptions: ParsableArguments {
    @Flag(
        help: """
            Don't block anything: count what the answers would drop, and log a few packets a minute, for \
            "latchkey drops".
            """)
    package var observe = false
    @Flag(help: "Apply the answers that are observed.") package var enforce = false
    @Flag(name: .customLong("stop-observing"), help: "End the observation.") package var stopObserving = false

    package init() {}

    /// How many of them were given.
    var count: Int { [observe, enforce, stopObserving].count { $0 } }
}
