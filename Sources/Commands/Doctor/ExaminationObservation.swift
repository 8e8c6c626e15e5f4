import SafeApply

// Whether answers are only observed.
extension Examination {
    /// The observation; empty if there is none.
    func observation() async -> [Finding] {
        let observation = Observation(environment)
        guard let record = observation.current() else { return [] }
        return [
            .found(
                .warning, "observation",
                ObservationRunner.sentence(record, dropped: await observation.dropped()),
                remedy: "sudo latchkey apply --enforce, or: sudo latchkey apply --stop-observing")
        ]
    }
}
