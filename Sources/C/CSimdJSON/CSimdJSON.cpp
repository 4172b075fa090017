#include "CSimdJSON.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <simdjson.h>

static_assert(VYUHA_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the padding that we ask for must cover simdjson's");

struct vyuha_json_parser {
    simdjson::dom::parser parser;
    size_t maximum_bytes;
    size_t maximum_depth;

    vyuha_json_parser(size_t bytes, size_t depth) noexcept : parser(bytes), maximum_bytes(bytes), maximum_depth(depth) {}

    // Parser and document together, and here rather than inside parse(): that grows the document to each new length
    // exactly, so slowly growing documents would allocate every time.
    simdjson::error_code grow(size_t bytes) noexcept {
        auto code = parser.allocate(bytes, maximum_depth);
        return code != simdjson::SUCCESS ? code : parser.doc.allocate(bytes);
    }
};

static vyuha_json_status status(simdjson::error_code code) {
    switch (code) {
    case simdjson::SUCCESS: return VYUHA_JSON_OK;
    case simdjson::CAPACITY: return VYUHA_JSON_TOO_LARGE;
    case simdjson::MEMALLOC: return VYUHA_JSON_OUT_OF_MEMORY;
    case simdjson::DEPTH_ERROR: return VYUHA_JSON_TOO_DEEP;
    case simdjson::TAPE_ERROR: return VYUHA_JSON_BAD_STRUCTURE;
    case simdjson::STRING_ERROR: return VYUHA_JSON_BAD_STRING;
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR: return VYUHA_JSON_BAD_ATOM;
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE: return VYUHA_JSON_BAD_NUMBER;
    case simdjson::UTF8_ERROR: return VYUHA_JSON_BAD_UTF8;
    case simdjson::EMPTY: return VYUHA_JSON_EMPTY;
    case simdjson::UNESCAPED_CHARS: return VYUHA_JSON_CONTROL_CHARACTER;
    case simdjson::UNCLOSED_STRING: return VYUHA_JSON_UNCLOSED_STRING;
    default: return VYUHA_JSON_OTHER;
    }
}

vyuha_json_parser *vyuha_json_create(size_t maximum_bytes, size_t maximum_depth) {
    auto *made = new (std::nothrow) vyuha_json_parser(maximum_bytes, maximum_depth);
    if (made == nullptr) return nullptr;
    // Small at first: most events fit, and a parser that meets a large document grows once.
    if (made->grow(std::min<size_t>(maximum_bytes, 4096)) != simdjson::SUCCESS) {
        delete made;
        return nullptr;
    }
    return made;
}

void vyuha_json_destroy(vyuha_json_parser *parser) { delete parser; }

vyuha_json_status vyuha_json_parse(vyuha_json_parser *parser, const uint8_t *bytes, size_t length, vyuha_json_tape *tape) {
    if (length > parser->maximum_bytes) return VYUHA_JSON_TOO_LARGE;
    if (length > parser->parser.capacity()) {
        size_t wanted = std::min(std::max(length, 2 * parser->parser.capacity()), parser->maximum_bytes);
        auto code = parser->grow(wanted);
        if (code != simdjson::SUCCESS) return status(code);
    }
    auto code = parser->parser.parse(bytes, length, false).error();
    if (code != simdjson::SUCCESS) return status(code);
    tape->words = parser->parser.doc.tape.get();
    tape->strings = parser->parser.doc.string_buf.get();
    return VYUHA_JSON_OK;
}

bool vyuha_utf8_is_valid(const uint8_t *bytes, size_t length) {
    return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), length);
}

size_t vyuha_format_double(double value, char *out) {
    auto end = std::to_chars(out, out + 32, value);
    return static_cast<size_t>(end.ptr - out);
}
