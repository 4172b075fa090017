// A C face for the two C++ things that Swift cannot import: simdjson's DOM parser (Debian's libsimdjson 3.0.1) and
// std::to_chars. No logic: the tape that the parser writes is read in Swift (Sources/Core/JSON/Tape.swift).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Bytes that must be readable (their values do not matter) after a document given to `vyuha_json_parse`.
enum { VYUHA_JSON_PADDING = 64 };

/// Why a document was refused. The numbers are ours: simdjson's own change from version to version.
typedef enum {
    VYUHA_JSON_OK = 0,
    VYUHA_JSON_TOO_LARGE,
    VYUHA_JSON_OUT_OF_MEMORY,
    VYUHA_JSON_TOO_DEEP,
    VYUHA_JSON_BAD_STRUCTURE,
    VYUHA_JSON_BAD_STRING,
    VYUHA_JSON_BAD_ATOM,
    VYUHA_JSON_BAD_NUMBER,
    VYUHA_JSON_BAD_UTF8,
    VYUHA_JSON_EMPTY,
    VYUHA_JSON_CONTROL_CHARACTER,
    VYUHA_JSON_UNCLOSED_STRING,
    VYUHA_JSON_OTHER,
} vyuha_json_status;

typedef struct vyuha_json_parser vyuha_json_parser;

/// A parsed document as simdjson lays it out (https://github.com/simdjson/simdjson/blob/master/doc/tape.md).
/// Both pointers belong to the parser and are valid until its next parse.
typedef struct {
    const uint64_t *words;
    const uint8_t *strings;
} vyuha_json_tape;

/// NULL when there is no memory. The parser grows with its documents up to `maximum_bytes`; one thread at a time.
vyuha_json_parser *vyuha_json_create(size_t maximum_bytes, size_t maximum_depth);
void vyuha_json_destroy(vyuha_json_parser *parser);

/// Validates the whole of `bytes[0 ..< length]` and fills `tape`. VYUHA_JSON_PADDING bytes after it must be readable.
vyuha_json_status vyuha_json_parse(vyuha_json_parser *parser, const uint8_t *bytes, size_t length, vyuha_json_tape *tape);

/// Whether the bytes are valid UTF-8 (no surrogates, no overlong forms).
bool vyuha_utf8_is_valid(const uint8_t *bytes, size_t length);

/// The shortest text that reads back as the same double. `out` has room for 32 bytes; no NUL. The value must be finite.
size_t vyuha_format_double(double value, char *out);

#ifdef __cplusplus
}
#endif
