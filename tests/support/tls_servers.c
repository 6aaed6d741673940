#define _GNU_SOURCE /* asprintf */
#include "tls_servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char directory[] = "/tmp/hsmart-tls-XXXXXX";
static int is_up;

/* Runs the script; "export NAME=value" lines go into the environment. */
static int
run_script(const char *source, const char *words)
{
    char *command = NULL, line[1024];

    if (asprintf(&command, "bash '%s/tests/support/tls_servers.sh' %s %s", source, directory, words) < 0)
        return -1;
    FILE *output = popen(command, "r");
    free(command);
    if (output == NULL)
        return -1;
    while (fgets(line, sizeof line, output) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *equals = strchr(line, '=');
        if (strncmp(line, "export ", 7) != 0 || equals == NULL) {
            print_message("%s\n", line);
            continue;
        }
        *equals = 0;
        if (setenv(line + 7, equals + 1, 1) != 0)
            return -1;
    }
    int status = pclose(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
tls_servers_up(void **state)
{
    const char *source = getenv("HSMART_SOURCE");

    (void)state;
    if (source == NULL || mkdtemp(directory) == NULL) {
        print_error("HSMART_SOURCE is not set, or /tmp cannot be written\n");
        return -1;
    }
    int status = run_script(source, "");
    is_up = status == 0;
    return status == 77 ? 0 : status;
}

int
tls_servers_down(void **state)
{
    char *command = NULL;
    int status = is_up ? run_script(getenv("HSMART_SOURCE"), "down") : 0;

    (void)state;
    if (asprintf(&command, "rm -rf '%s'", directory) < 0 || system(command) != 0)
        status = -1;
    free(command);
    return status;
}

const char *
tls_server(const char *name)
{
    const char *value = getenv(name);

    if (!is_up)
        skip();
    assert_non_null(value);
    return value;
}
