import CYAML

/// libyaml's event parser, owned, building nodes. It lives on the heap because libyaml keeps a pointer to it.
///
/// Source: https://pyyaml.org/wiki/LibYAML
struct YAMLParser: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let isReady: Bool
    private let source: YAMLSource

    init(_ source: YAMLSource) {
        self.source = source
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        isReady = yaml_parser_initialize(parser) == 1
        if isReady { yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING) }
    }

    deinit {
        if isReady { yaml_parser_delete(parser) }
        parser.deallocate()
    }

    /// The one document of the bytes.
    func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(YAMLError) -> YAMLNode {
        guard isReady else { throw YAMLError(file: source.file, mark: .none, message: "There is no memory to read the file.") }
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
        _ = try next()  // the stream's start
        let start = try next()
        guard case .documentStart = start.kind else {
            throw YAMLError(file: source.file, mark: .none, message: "The file is empty.")
        }
        let root = try node(try next(), path: "", depth: 0)
        _ = try next()  // the document's end
        let end = try next()
        guard case .streamEnd = end.kind else { throw error(end.mark, "A second document starts here; one file holds one document.") }
        return root
    }

    private func node(_ event: Event, path: String, depth: Int) throws(YAMLError) -> YAMLNode {
        guard depth < YAMLNode.maximumDepth else {
            throw error(event.mark, "The file is nested deeper than \(YAMLNode.maximumDepth) levels.")
        }
        if event.hasAnchor { throw error(event.mark, "Anchors (&name) are not read here; write the value where it is needed.") }
        if event.hasTag { throw error(event.mark, "Tags (such as !!str) are not read here; put a text in quotes instead.") }
        switch event.kind {
        case .alias: throw error(event.mark, "Aliases (*name) are not read here; write the value out.")
        case .scalar(let scalar): return make(.scalar(scalar), event, path)
        case .sequenceStart:
            var nodes: [YAMLNode] = []
            while true {
                let next = try next()
                if case .sequenceEnd = next.kind { return make(.sequence(nodes), event, path) }
                nodes.append(try node(next, path: "\(path)[\(nodes.count)]", depth: depth + 1))
            }
        case .mappingStart: return make(.mapping(try entries(path: path, depth: depth)), event, path)
        default: throw error(event.mark, "This is not YAML as it is read here.")
        }
    }

    private func entries(path: String, depth: Int) throws(YAMLError) -> [YAMLEntry] {
        var entries: [YAMLEntry] = []
        var lines: [String: Int] = [:]
        while true {
            let key = try next()
            if case .mappingEnd = key.kind { return entries }
            if case .alias = key.kind { throw error(key.mark, "Aliases (*name) are not read here; write the key out.") }
            guard case .scalar(let scalar) = key.kind else { throw error(key.mark, "A key must be a plain text.") }
            if key.hasAnchor { throw error(key.mark, "Anchors (&name) are not read here; write the value where it is needed.") }
            if key.hasTag { throw error(key.mark, "Tags (such as !!str) are not read here; put a text in quotes instead.") }
            if scalar.text == "<<", scalar.style == .plain {
                throw error(key.mark, "Merge keys (<<) are not read here; write the keys out.")
            }
            guard !scalar.text.isEmpty else { throw error(key.mark, "A key must not be empty.") }
            if let line = lines.updateValue(key.mark.line, forKey: scalar.text) {
                throw error(key.mark, "The key `\(scalar.text)` is there already, in line \(line).")
            }
            let inner = path.isEmpty ? scalar.text : "\(path).\(scalar.text)"
            entries.append(YAMLEntry(key: scalar.text, keyMark: key.mark, value: try node(try next(), path: inner, depth: depth + 1)))
        }
    }

    private func make(_ content: YAMLNode.Content, _ event: Event, _ path: String) -> YAMLNode {
        YAMLNode(content: content, mark: event.mark, path: path, source: source)
    }

    private func error(_ mark: YAMLMark, _ message: String) -> YAMLError { YAMLError(file: source.file, mark: mark, message: message) }

    /// A libyaml event as a plain value.
    private struct Event {
        enum Kind {
            case documentStart, streamEnd, alias, sequenceStart, sequenceEnd, mappingStart, mappingEnd, other
            case scalar(YAMLScalar)
        }

        var kind = Kind.other
        var mark: YAMLMark
        var hasAnchor = false
        var hasTag = false
    }

    private func next() throws(YAMLError) -> Event {
        var raw = yaml_event_t()
        guard yaml_parser_parse(parser, &raw) == 1 else { throw problem() }
        defer { yaml_event_delete(&raw) }
        var event = Event(mark: YAMLMark(raw.start_mark))
        switch raw.type {
        case YAML_DOCUMENT_START_EVENT: event.kind = .documentStart
        case YAML_STREAM_END_EVENT: event.kind = .streamEnd
        case YAML_ALIAS_EVENT: event.kind = .alias
        case YAML_SEQUENCE_END_EVENT: event.kind = .sequenceEnd
        case YAML_MAPPING_END_EVENT: event.kind = .mappingEnd
        case YAML_SEQUENCE_START_EVENT:
            event.kind = .sequenceStart
            event.hasAnchor = raw.data.sequence_start.anchor != nil
            event.hasTag = raw.data.sequence_start.tag != nil
        case YAML_MAPPING_START_EVENT:
            event.kind = .mappingStart
            event.hasAnchor = raw.data.mapping_start.anchor != nil
            event.hasTag = raw.data.mapping_start.tag != nil
        case YAML_SCALAR_EVENT:
            let scalar = raw.data.scalar
            event.hasAnchor = scalar.anchor != nil
            event.hasTag = scalar.tag != nil
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            event.kind = .scalar(YAMLScalar(text: text, style: YAMLScalar.Style(scalar.style)))
        default: break
        }
        return event
    }

    /// What libyaml objects to, as a sentence at its place.
    private func problem() -> YAMLError {
        let state = parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "it cannot be read"
        if state.error == YAML_READER_ERROR {
            return YAMLError(file: source.file, mark: .none, message: "The file has a character that YAML does not allow: \(problem).")
        }
        if state.error == YAML_MEMORY_ERROR {
            return YAMLError(file: source.file, mark: .none, message: "There is no memory to read the file.")
        }
        let mark = YAMLMark(state.problem_mark)
        if source.lines.indices.contains(mark.line - 1) {
            let line = source.lines[mark.line - 1]
            if line.indices.contains(mark.column - 1), line[mark.column - 1] == "\t" {
                return error(mark, "A tab cannot indent YAML; use spaces.")
            }
        }
        let context = state.context.map { " \(String(cString: $0))" } ?? ""
        return error(mark, "This is not YAML: \(problem)\(context).")
    }
}

extension YAMLMark {
    /// libyaml counts from 0.
    fileprivate init(_ mark: yaml_mark_t) { self.init(line: mark.line + 1, column: mark.column + 1) }
}

extension YAMLScalar.Style {
    fileprivate init(_ style: yaml_scalar_style_t) {
        switch style {
        case YAML_SINGLE_QUOTED_SCALAR_STYLE: self = .singleQuoted
        case YAML_DOUBLE_QUOTED_SCALAR_STYLE: self = .doubleQuoted
        case YAML_LITERAL_SCALAR_STYLE: self = .literal
        case YAML_FOLDED_SCALAR_STYLE: self = .folded
        default: self = .plain
        }
    }
}
