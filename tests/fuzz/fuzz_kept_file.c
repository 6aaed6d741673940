/* Files that hsmart keeps, damaged: the first byte says which. For the life-cycle file and the PIN guard's state that
 * is an error which is told; a cache is empty then. */
#include <unistd.h>

#include "access_token_cache.h"
#include "discovery_cache.h"
#include "file.h"
#include "fuzz.h"
#include "lifecycle_file.h"
#include "p11_guard.h"

#define NOW_S 1700000000
#define FHIR_BASE "https://ehr.example/fhir"
#define CLIENT "a client"
#define TOKEN "a token"

/* Of this process, in memory where there is such a place, since every writing is synced. Its one file has another name
 * for each kind. */
static char in_memory[] = "/dev/shm/hsmart-fuzz-XXXXXX", on_disk[] = "/tmp/hsmart-fuzz-XXXXXX";
static const char *directory;

static void
life_cycle_file(struct hs_buf *out_path)
{
    FUZZ_REQUIRE(hs_buf_append_format(out_path, NULL, "%s/life-cycle", directory) == HSMART_OK);
}

static void
read_life_cycle(const char *path)
{
    struct hs_lifecycle_file file = {0}, again = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_lifecycle_file_load(path, &file, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(file.count <= HS_LIFECYCLE_ENTRIES_MAX);
        /* What was read can be written, and read again. */
        FUZZ_REQUIRE(hs_lifecycle_file_save(&file, path, &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_lifecycle_file_load(path, &again, &err) == HSMART_OK);
        FUZZ_REQUIRE(again.count == file.count);
    }
    hs_lifecycle_file_clear(&again);
    hs_lifecycle_file_clear(&file);
}

static void
guard_file(struct hs_buf *out_path)
{
    enum hs_guard_state state = HS_GUARD_OPEN;

    FUZZ_REQUIRE(hs_guard_look(directory, TOKEN, &state, out_path, NULL) == HSMART_OK);
}

static void
read_guard(const char *path)
{
    enum hs_guard_state state = HS_GUARD_OPEN;
    struct hs_buf told = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_guard_look(directory, TOKEN, &state, &told, &err);
    fuzz_require_story(code, &err);
    FUZZ_REQUIRE(code == HSMART_OK || code == HSMART_PIN_GUARDED);
    FUZZ_REQUIRE(strcmp(hs_buf_text(&told), path) == 0);
    hs_buf_clear(&told);
}

static void
private_file(const char *prefix, const char *identity, struct hs_buf *out_path)
{
    char *name = NULL;

    FUZZ_REQUIRE(hs_private_name(prefix, hs_span_str(identity), &name, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_buf_append_format(out_path, NULL, "%s/%s", directory, name) == HSMART_OK);
    hs_string_free(name);
}

static void
access_token_file(struct hs_buf *out_path)
{
    private_file("access-token-", CLIENT, out_path);
}

static void
read_access_token(const char *path)
{
    struct hs_private_directory private = {.fd = -1};
    struct hs_access_token_cache *cache = NULL;
    struct hs_cached_access_token cached = {0}, again = {0};

    (void)path;
    FUZZ_REQUIRE(hs_private_directory_open(directory, &private, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_access_token_cache_new(&private, hs_span_str(CLIENT), &cache, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_access_token_cache_load(cache, &cached, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_access_token_life_s(&cached.access_token) >= 0);
    FUZZ_REQUIRE(cached.access_token.value.len == 0 || hs_is_b64token(hs_span_buf(&cached.access_token.value)));
    FUZZ_REQUIRE(hs_access_token_cache_save(cache, &cached, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_access_token_cache_load(cache, &again, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&again.access_token.value), hs_span_buf(&cached.access_token.value)));
    FUZZ_REQUIRE(again.busy_until_s == cached.busy_until_s);
    hs_cached_access_token_clear(&again);
    hs_cached_access_token_clear(&cached);
    hs_access_token_cache_free(cache);
}

static void
discovery_file(struct hs_buf *out_path)
{
    private_file("discovery-", FHIR_BASE, out_path);
}

static void
read_discovery(const char *path)
{
    struct hs_private_directory private = {.fd = -1};
    struct hs_discovery discovery = {0};
    bool found = false;

    (void)path;
    FUZZ_REQUIRE(hs_private_directory_open(directory, &private, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_discovery_cache_load(&private, FHIR_BASE, NOW_S, &found, &discovery, NULL) == HSMART_OK);
    if (found)
        FUZZ_REQUIRE(discovery.read_at_s <= NOW_S && discovery.expires_at_s > NOW_S &&
                     discovery.token_endpoint != NULL);
    hs_discovery_clear(&discovery);
    hs_private_directory_close(&private);
}

static const struct kind {
    uint8_t letter;
    void (*path)(struct hs_buf *out_path);
    void (*read)(const char *path);
} kinds[] = {
    {'l', life_cycle_file, read_life_cycle},
    {'g', guard_file, read_guard},
    {'t', access_token_file, read_access_token},
    {'d', discovery_file, read_discovery},
};

static void
remove_directory(void)
{
    (void)rmdir(directory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (directory == NULL) {
        directory = mkdtemp(in_memory);
        if (directory == NULL)
            directory = mkdtemp(on_disk);
        FUZZ_REQUIRE(directory != NULL);
        (void)atexit(remove_directory);
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds) && len > 0; i++) {
        struct hs_buf path = {0};
        if (kinds[i].letter != data[0])
            continue;
        kinds[i].path(&path);
        FUZZ_REQUIRE(hs_file_write_atomic(hs_buf_text(&path), (struct hs_span){data + 1, len - 1}, 0600, NULL) ==
                     HSMART_OK);
        kinds[i].read(hs_buf_text(&path));
        (void)unlink(hs_buf_text(&path));
        hs_buf_clear(&path);
    }
    return 0;
}
