/* Stands in for libFuzzer in an ordinary build: each file of the given directories goes through the target once. */
#include <dirent.h>

#include "fuzz.h"

#define INPUT_MAX (2U << 20)

static void
replay_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");

    FUZZ_REQUIRE(file != NULL);
    size_t len = fread(data, 1, sizeof data, file);
    FUZZ_REQUIRE(ferror(file) == 0);
    (void)fclose(file);

    /* A heap block of the exact size, so that a sanitizer sees a read past the end. */
    uint8_t *exact = hs_calloc(len > 0 ? len : 1, 1);
    FUZZ_REQUIRE(exact != NULL);
    memcpy(exact, data, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    hs_free(exact);
}

int
main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        FUZZ_REQUIRE(directory != NULL);
        for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            int len = snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            FUZZ_REQUIRE(len > 0 && (size_t)len < sizeof path);
            replay_file(path);
            count++;
        }
        (void)closedir(directory);
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
