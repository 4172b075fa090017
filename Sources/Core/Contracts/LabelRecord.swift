import JSON

/// Ground truth about one event, on `<uc>.labels`; only events that are anomalous or that must not be judged have one.
///
/// Wire form: `{"id":"trips:42","entity":"132","event_time":1546300850000,"label":1,"ignore":false,"kind":"overcharge","start":1546300850000,
///   "end":1546300850000}`
///
/// `start` and `end` are those of the episode that the event is part of: all labels of one fault of one entity have the same start and kind.
public enum LabelRecord {
    public static func write(
        id: UnsafeRawBufferPointer, entity: UnsafeRawBufferPointer, eventTime: Int64, isAnomaly: Bool, ignore: Bool, kind: String,
        start: Int64, end: Int64, into writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.key("id")
        writer.value(utf8: id)
        writer.key("entity")
        writer.value(utf8: entity)
        writer.key("event_time")
        writer.value(eventTime)
        writer.key("label")
        writer.value(isAnomaly ? 1 : 0)
        writer.key("ignore")
        writer.value(ignore)
        writer.key("kind")
        writer.value(kind)
        writer.key("start")
        writer.value(start)
        writer.key("end")
        writer.value(end)
        writer.endObject()
    }
}
