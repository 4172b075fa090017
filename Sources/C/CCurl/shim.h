#pragma once
#include <curl/curl.h>

// Swift cannot import variadic functions; each of these is one option or one answer with its C type.

typedef size_t (*vyuha_curl_write)(char *data, size_t size, size_t count, void *context);
typedef int (*vyuha_curl_progress)(void *context, curl_off_t, curl_off_t, curl_off_t, curl_off_t);

static inline CURLcode vyuha_curl_set_long(CURL *curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_offset(CURL *curl, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_string(CURL *curl, CURLoption option, const char *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_pointer(CURL *curl, CURLoption option, const void *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_list(CURL *curl, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_write(CURL *curl, CURLoption option, vyuha_curl_write value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode vyuha_curl_set_progress(CURL *curl, vyuha_curl_progress value) {
    return curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, value);
}
static inline CURLcode vyuha_curl_get_long(CURL *curl, CURLINFO info, long *value) {
    return curl_easy_getinfo(curl, info, value);
}
static inline CURLcode vyuha_curl_get_offset(CURL *curl, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(curl, info, value);
}
static inline CURLcode vyuha_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
