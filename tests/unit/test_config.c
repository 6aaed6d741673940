/* hsmart.conf: what is read, what is refused and where, and that the document says the same. */
#define _GNU_SOURCE /* memmem, mkdtemp */
#include "rows.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_scan.h"
#include "config_table.h"
#include "file.h"
#include "p11_pin.h"

#define TOKEN "token \"prod\" { module = \"/m.so\" }\n"
#define KEY "key \"ehr\" { token = \"prod\" }\n"
#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

/* ---- What is refused ---- */

static struct refusal {
    const char *name, *text, *message, *hint_part;
} refusals[] = {
    /* settings and sections */
    {"an unknown setting", TOKEN "key \"k\" {\n colour = \"red\"\n}", "f:3: there is no setting \"colour\" here",
     "the settings of a key are token, uri, thumbprint, kid, family, lifecycle-file, alg, allow-extractable"},
    {"a setting that is misspelt", "client \"c\" { clientid = \"a\" }", "f:1: there is no setting \"clientid\" here",
     "did you mean \"client-id\"?"},
    {"a setting like no other", "client \"c\" { colour = \"red\" }", "f:1: there is no setting \"colour\" here",
     "docs/configuration.md lists the settings of a client"},
    {"a setting of another section", "token \"t\" { kid = \"a\" }", "f:1: there is no setting \"kid\" here", "module"},
    {"a setting outside of a section", "\nuri = \"pkcs11:\"", "f:2: there is no setting \"uri\" here",
     "the sections are token, key and client"},
    {"an unknown section", "server \"x\" { }", "f:1: there is no setting \"server\" here", "token, key and client"},
    {"a section within a section", "token \"t\" {\n token \"u\" { } }", "f:2: there is no setting \"token\" here",
     "module"},
    {"upper case", "Token \"t\" { }", "f:1: the name of a setting is expected here", "token"},
    {"an included file", "include(\"/etc/passwd\")", "f:1: there is no setting \"include\" here", "cannot be included"},
    {"a section without a name", "token {\n}", "f:1: a section \"token\" has no name", "token \"prod\" { … }"},
    {"a section with an empty name", "token \"\" { module = \"/m\" }", "f:1: a name or value is empty", ""},
    {"one name twice", TOKEN "\n" TOKEN, "f:3: the name \"prod\" is used twice for this kind of section", "another"},
    {"one setting twice", "token \"t\" {\n module = \"/a\"\n module = \"/b\"\n}",
     "f:3: \"module\" is set twice in this section", ""},
    {"a token without module", "token \"t\" {\n}", "f:2: token \"t\" ends here without the setting \"module\"",
     "PKCS#11 library"},
    {"a key without token", "key \"k\" {\n}", "f:2: key \"k\" ends here without the setting \"token\"", ""},
    {"a key on no token", KEY, "f:1: there is no token named \"prod\"", "add a section: token \"prod\""},
    {"a key on another token", "token \"a\" { module = /m }\ntoken \"b\" { module = /m }\n" KEY,
     "f:3: there is no token named \"prod\"", "the names are a, b"},
    {"a client on no key", TOKEN KEY "client \"c\" {\n key = \"her\"\n}", "f:4: there is no key named \"her\"",
     "the names are ehr"},
    {"two methods", TOKEN KEY "client \"c\" {\n key = \"ehr\"\n client-secret-source = \"file:/s\"\n}",
     "f:5: client \"c\" has both \"key\" and \"client-secret-source\"", "keep key"},

    /* values */
    {"a relative module", "token \"t\" {\n module = \"softhsm.so\"\n}",
     "f:2: \"module\" is \"softhsm.so\", which is not an absolute path", "beginning with /"},
    {"an empty value", "token \"t\" { module = \"\" }", "f:1: a name or value is empty", "leave the setting out"},
    {"an empty value in two lines", "token \"t\" {\n module = \"\\\n\" }", "f:3: a name or value is empty", ""},
    {"an empty name", "token \"t\" {\n '' = 1 }", "f:2: a name or value is empty", ""},
    {"no sessions", "token \"t\" { module = /m max-sessions = 0 }",
     "f:1: \"max-sessions\" is \"0\", but must be a whole number from 1 to 64", ""},
    {"too many sessions", "token \"t\" { module = /m max-sessions = 65 }",
     "f:1: \"max-sessions\" is \"65\", but must be a whole number from 1 to 64", ""},
    {"a number in words", "token \"t\" { module = /m max-sessions = four }",
     "f:1: \"max-sessions\" is \"four\", but must be a whole number from 1 to 64", ""},
    {"a number and more", "token \"t\" { module = /m max-sessions = 4k }",
     "f:1: \"max-sessions\" is \"4k\", but must be a whole number from 1 to 64", ""},
    {"a huge number", "token \"t\" { module = /m max-sessions = 99999999999999999999 }",
     "f:1: \"max-sessions\" is \"99999999999999999999\", but must be a whole number from 1 to 64", ""},
    {"a negative number", "client \"c\" { assertion-lifetime = -1 }",
     "f:1: \"assertion-lifetime\" is \"-1\", but must be a whole number from 1 to 300", ""},
    {"a life too long", "client \"c\" { assertion-lifetime = 301 }",
     "f:1: \"assertion-lifetime\" is \"301\", but must be a whole number from 1 to 300", ""},
    {"a truth in other words", TOKEN "key \"k\" { token = \"prod\" allow-extractable = maybe }",
     "f:2: \"allow-extractable\" is \"maybe\", but must be true or false", ""},
    {"a short thumbprint", TOKEN "key \"k\" { token = \"prod\" thumbprint = \"AAAA\" }",
     "f:2: \"thumbprint\" is \"AAAA\", which is not 43 characters of base64url", "RFC 7638"},
    {"a thumbprint in hex", TOKEN "key \"k\" { token = \"prod\" thumbprint = \"12:34\" }",
     "f:2: \"thumbprint\" is \"12:34\", which is not 43 characters of base64url", "RFC 7638"},

    /* secrets */
    {"a PIN", "token \"t\" {\n pin = \"80021\"\n}", "f:2: \"pin\" is refused: a secret in this file", "pin-source"},
    {"a PIN as PIN source", "token \"t\" { module = /m\n pin-source = \"80021\"\n}",
     "f:2: \"pin-source\" looks like the secret itself", "file: credential: fd: exec: prompt pinpad"},
    {"a PIN source of unknown kind", "token \"t\" { module = /m pin-source = \"env:80021\" }",
     "f:1: \"pin-source\" is not a known source (its value is not shown", "file: credential:"},
    {"a PIN source without argument", "token \"t\" { module = /m pin-source = \"file:\" }",
     "f:1: \"pin-source\" is not a known source", ""},
    {"a prompt with argument", "token \"t\" { module = /m pin-source = \"prompt80021\" }",
     "f:1: \"pin-source\" looks like the secret itself", ""},
    {"a PIN in the token's URI", "token \"t\" { module = /m uri = \"pkcs11:token=a?pin-value=80021\" }",
     "f:1: \"uri\" has a PIN or PIN source in it", "pin-source"},
    {"a PIN in the key's URI", TOKEN "key \"k\" { token = \"prod\" uri = \"pkcs11:?pin-value=80021\" }",
     "f:2: \"uri\" has a PIN or PIN source in it", ""},
    {"a PIN behind its source", "token \"t\" { module = /m pin-source = \"file:/p\" \"80021\" }",
     "f:1: the name of a setting is expected here", ""},
    {"a client secret", "client \"c\" { client-secret = \"80021\" }", "f:1: \"client-secret\" is refused",
     "client-secret-source"},
    {"a client secret as source", "client \"c\" { client-secret-source = \"80021\" }",
     "f:1: \"client-secret-source\" looks like the secret itself", ""},
    {"a client secret from a PIN pad", "client \"c\" { client-secret-source = \"pinpad\" }",
     "f:1: \"client-secret-source\" looks like the secret itself", ""},
    {"the environment in quotes", "token \"t\" { module = /m\n pin-source = \"file:${HSMART_TEST}\" }",
     "f:2: \"${\" would take a value from the environment", "\\${"},
    {"the environment without quotes", "token \"t\" { module = /m pin-source = ${HSMART_TEST} }",
     "f:1: the character $ is not expected here", ""},

    /* grammar */
    {"no equals sign", "token \"t\" {\n module \"/m\"\n}", "f:2: \"=\" is missing after \"module\"", "name ="},
    {"no value", "token \"t\" {\n module =\n}", "f:3: a name or value is expected here", "name ="},
    {"no name", "token \"t\" {\n = \"/m\"\n}", "f:2: a name or value is expected here", "name ="},
    {"the end instead of a value", "token", "f:1: the file ends in the middle of a setting", ""},
    {"a list", "client \"c\" {\n scope = { \"a\", \"b\" }\n}", "f:2: a name or value is expected here", "no lists"},
    {"an appended value", "client \"c\" { scope += \"b\" }", "f:1: the character + is not expected here", ""},
    {"a semicolon", "token \"t\" { module = \"/m\"; }", "f:1: the character ; is not expected here", "no ; ends"},
    {"no opening brace", "token \"t\"\n module = \"/m\" }", "f:2: \"{\" is missing after the name of a section", ""},
    {"no closing brace", TOKEN "\ntoken \"t\" {\n module = \"/m\"\n",
     "f:3: the section that begins here has no closing brace", ""},
    {"a closing brace too many", TOKEN "}", "f:2: there is a \"}\" too many", ""},
    {"a string without end", "token \"t\" {\n module = \"/m\n}\n", "f:2: a string that begins here has no closing \"",
     "on its line"},
    {"a string without end in single quotes", "token 't {}", "f:1: a string that begins here has no closing '", ""},
    {"a string without end after a backslash", "token \"t\\", "f:1: a backslash stands before", ""},
    {"a comment without end", TOKEN "/* client \"c\" { }\n\n", "f:2: the comment that begins here has no end", ""},
    {"a comment that only seems to end", "/*/", "f:1: the comment that begins here has no end", ""},
    {"a URL without quotes", "client \"c\" { jku = https://a/b }", "f:1: the character / is not expected here",
     "double quotes"},
    {"a number sign within a word", "token \"t\" { module = /m#n }", "f:1: the character # is not expected here", ""},
    {"an escape in octal", "token \"t\" { module = \"/\\101\" }", "f:1: a backslash stands before", "\\\\"},
    {"an escape in hex", "token \"t\" { module = \"/\\x41\" }", "f:1: a backslash stands before", ""},
    {"an escaped line feed", "token \"t\" { module = \"/\\n\" }", "f:1: a backslash stands before", ""},
    {"a tab in a string", "token \"t\" { module = \"/\t\" }", "f:1: a byte of value 0x09", ""},
    {"a path into a section", TOKEN "token|uri = \"x\"", "f:2: the character | is not expected here", ""},
    {"a byte order mark", "\xef\xbb\xbf" TOKEN, "f:1: a byte of value 0xef is not expected here", ""},
    {"text that is not UTF-8", TOKEN "\n# \xff\n", "f:3: the text is not UTF-8", ""},
    {"a carriage return alone", "token \"t\"\r{ }", "f:1: a byte of value 0x0d", ""},
    {"a line after a block comment", "/* 1\n 2 */ # 2\n/* 3 */ colour = 1", "f:3: there is no setting \"colour\"", ""},
    {"a line after a line comment", "# 1\n// 2\ncolour = 1", "f:3: there is no setting \"colour\"", ""},
    {"a line after a continued string", "client \"c\" {\n scope = \"a \\\nb\"\n colour = 1 }",
     "f:4: there is no setting \"colour\"", ""},
};

static void
a_wrong_file_is_refused_with_line_reason_and_cure(void **state)
{
    const struct refusal *row = *state;
    struct hs_config *config = NULL;
    hsmart_err err = {0};

    assert_int_equal(setenv("HSMART_TEST", "80021", 1), 0);
    assert_int_equal(hs_config_parse(row->text, "f", &config, &err), HSMART_CONFIG_INVALID);
    assert_int_equal(err.code, HSMART_CONFIG_INVALID);
    if (strncmp(err.text, row->message, strlen(row->message)) != 0)
        assert_string_equal(err.text, row->message);
    if (strstr(err.hint, row->hint_part) == NULL)
        assert_string_equal(err.hint, row->hint_part);
    assert_null(strstr(err.text, "80021"));
    assert_null(strstr(err.hint, "80021"));
    assert_null(config);
    assert_int_equal(hs_config_parse(row->text, "f", &config, NULL), HSMART_CONFIG_INVALID);
}

/* ---- What is read ---- */

static struct value {
    const char *name, *text, *init_string;
} values[] = {
    {"without quotes", "init-string = a/b:c@d%e-f_g.h", "a/b:c@d%e-f_g.h"},
    {"in single quotes", "init-string = 'a \"b\" ${HOME} \\ c'", "a \"b\" ${HOME} \\ c"},
    {"with escapes", "init-string = \"a \\\"b\\\" \\\\ \\' \\${HOME} $HOME\"", "a \"b\" \\ ' ${HOME} $HOME"},
    {"with escapes in single quotes", "init-string = 'a \\'b\\' \\\\'", "a 'b' \\"},
    {"with what begins comments", "init-string = \"# // /* { } = , ;\"", "# // /* { } = , ;"},
    {"in two lines", "init-string = \"a \\\nb\"", "a b"},
    {"in two lines of CR LF", "init-string = \"a \\\r\nb\"\r\n", "a b"},
    {"beyond ASCII", "init-string = \"Zürich Ω\"", "Zürich Ω"},
    {"beside comments", "/* init-string = 1 */init-string /**/= # x\n// y\n\"a\"# z", "a"},
    {"none", "#\n//\n/**/\n/***/", NULL},
    {"on one line with others", "uri=pkcs11: init-string=a max-sessions=1", "a"},
};

static void
a_value_is_read(void **state)
{
    const struct value *row = *state;
    char text[256];
    struct hs_config *config = NULL;
    hsmart_err err = {0};
    const char *init_string;

    (void)snprintf(text, sizeof text, "token \"t\" {\nmodule = \"/m.so\"\n%s\n}\n", row->text);
    if (hs_config_parse(text, "f", &config, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    init_string = hs_config_get_token(config, "t")->init_string;
    if (row->init_string == NULL)
        assert_null(init_string);
    else
        assert_string_equal(init_string, row->init_string);
    hs_config_free(config);
}

static void
an_empty_file_is_a_configuration_of_nothing(void **state)
{
    static const char *const texts[] = {"", "\n", "# nothing", "/* nothing */", "\r\n"};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(texts); i++) {
        struct hs_config *config = NULL;
        assert_int_equal(hs_config_parse(texts[i], "f", &config, NULL), HSMART_OK);
        assert_null(hs_config_get_token(config, NULL));
        assert_null(hs_config_get_client(config, "x"));
        hs_config_free(config);
    }
}

static void
sections_may_stand_in_any_order(void **state)
{
    struct hs_config *config = NULL;
    const struct hs_config_client *client;

    (void)state;
    assert_int_equal(hs_config_parse("client \"c\" { key = \"ehr\" }\n" KEY TOKEN, "f", &config, NULL), HSMART_OK);
    client = hs_config_get_client(config, "c");
    assert_ptr_equal(client->key, hs_config_get_key(config, "ehr"));
    assert_ptr_equal(client->key->token, hs_config_get_token(config, "prod"));
    assert_string_equal(client->key->token->module, "/m.so");
    hs_config_free(config);
}

static void
one_name_may_stand_for_a_token_and_a_key_and_a_client(void **state)
{
    struct hs_config *config = NULL;

    (void)state;
    assert_int_equal(
        hs_config_parse("token a { module = /m } key a { token = a } client a { key = a }", "f", &config, NULL),
        HSMART_OK);
    assert_string_equal(hs_config_get_client(config, "a")->key->token->name, "a");
    hs_config_free(config);
}

static void
what_is_not_set_is_told_from_what_is(void **state)
{
    struct hs_config *config = NULL;
    const struct hs_config_token *token;
    const struct hs_config_client *client;

    (void)state;
    assert_int_equal(hs_config_parse(TOKEN KEY "client \"c\" { }", "f", &config, NULL), HSMART_OK);
    token = hs_config_get_token(config, "prod");
    assert_null(token->uri);
    assert_null(token->pin_source);
    assert_int_equal(token->max_sessions, 0);
    assert_null(hs_config_get_key(config, "ehr")->thumbprint);
    assert_false(hs_config_get_key(config, "ehr")->allow_extractable);
    client = hs_config_get_client(config, "c");
    assert_string_equal(client->profile, "smart");
    assert_null(client->key);
    assert_null(client->client_secret_source);
    assert_int_equal(client->assertion_lifetime_s, 0);
    assert_false(client->omit_issued_at);
    hs_config_free(config);
}

static void
without_a_name_only_the_only_one_is_found(void **state)
{
    struct hs_config *config = NULL;
    struct hs_buf names = {0};

    (void)state;
    assert_int_equal(hs_config_parse(TOKEN KEY "client \"c\" { } client \"b\" { }", "f", &config, NULL), HSMART_OK);
    assert_string_equal(hs_config_get_token(config, NULL)->name, "prod");
    assert_string_equal(hs_config_get_key(config, NULL)->name, "ehr");
    assert_null(hs_config_get_client(config, NULL));
    assert_string_equal(hs_config_get_client(config, "b")->name, "b");
    assert_null(hs_config_get_client(config, "B"));
    assert_int_equal(hs_config_names(config, "client", &names, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&names), "c, b");
    assert_null(hs_config_get_client(NULL, "b"));
    hs_buf_clear(&names);
    hs_config_free(config);
}

/* ---- Any bytes ---- */

static void
append(struct hs_buf *out, const char *text)
{
    assert_int_equal(hs_buf_append_str(out, text, NULL), HSMART_OK);
}

static void
write_file(const char *path, struct hs_span contents)
{
    assert_int_equal(hs_file_write_atomic(path, contents, 0600, NULL), HSMART_OK);
}

static char directory[64];

static const char *
in_directory(const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void
hold_load(struct hs_span contents, const char *message)
{
    struct hs_config *config = NULL;
    hsmart_err err = {0};

    write_file(in_directory("x.conf"), contents);
    assert_int_equal(hs_config_load(in_directory("x.conf"), &config, &err), HSMART_CONFIG_INVALID);
    if (strstr(err.text, message) == NULL)
        assert_string_equal(err.text, message);
    assert_null(config);
}

static void
a_nul_byte_does_not_end_the_file(void **state)
{
    (void)state;
    hold_load(HS_SPAN_OF(TOKEN), "x.conf:2: a byte of value 0x00 is not expected here");
    hold_load((struct hs_span){(const uint8_t *)"token \"a\0b\" { }", 15}, "x.conf:1: a byte of value 0x00");
}

static void
a_file_of_any_size_gets_an_answer(void **state)
{
    struct hs_buf text = {0};

    (void)state;
    assert_int_equal(hs_buf_resize(&text, 1U << 20, NULL), HSMART_OK);
    memset(text.data, ' ', text.len);
    hold_load(hs_span_buf(&text), "longer than the 262144 bytes");
    memset(text.data, '{', text.len);
    hold_load((struct hs_span){text.data, HS_CONFIG_MAX_LEN}, "x.conf:1: ");
    memset(text.data, '"', text.len);
    hold_load((struct hs_span){text.data, HS_CONFIG_MAX_LEN}, "x.conf:1: ");
    memset(text.data, 'a', text.len);
    hold_load((struct hs_span){text.data, HS_CONFIG_MAX_LEN}, "x.conf:1: the name of a setting is expected");
    memset(text.data, '\n', text.len);
    text.data[HS_CONFIG_MAX_LEN - 1] = '}';
    hold_load((struct hs_span){text.data, HS_CONFIG_MAX_LEN}, "x.conf:262144: there is a \"}\" too many");
    hs_buf_clear(&text);
}

static void
a_thousand_sections_are_enough(void **state)
{
    struct hs_buf text = {0};
    struct hs_config *config = NULL;
    hsmart_err err = {0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(hs_buf_append_format(&text, NULL, "client c%u { }\n", i), HSMART_OK);
    assert_int_equal(hs_config_parse(hs_buf_text(&text), "f", &config, &err), HSMART_OK);
    hs_config_free(config);
    append(&text, "client more { }");
    assert_int_equal(hs_config_parse(hs_buf_text(&text), "f", &config, &err), HSMART_CONFIG_INVALID);
    assert_string_equal(err.text, "f:1001: there are more than 1000 sections \"client\"");
    hs_buf_clear(&text);
}

/* Every prefix, and every byte changed, of a file that has everything: whatever the answer is, there is one, and
 * a file that was refused leaves nothing behind in libconfuse that would spoil the next. */
static void
a_damaged_file_gets_an_answer(void **state)
{
    static const char good[] =
        "# c\ntoken \"t\" { module = '/m' max-sessions = 4 /* x\n*/ }\n"
        "key k { token = t thumbprint = \"" THUMBPRINT "\" }\n// y\nclient c { scope = \"a \\\nb\" }";
    char text[sizeof good];

    (void)state;
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte += 1 + (unsigned)at % 3) {
            struct hs_config *config = NULL;
            hsmart_err err = {0};
            memcpy(text, good, sizeof good);
            text[at] = (char)byte;
            enum hsmart_code code = hs_config_parse(text, "f", &config, &err);
            assert_true(code == HSMART_OK || (code == HSMART_CONFIG_INVALID && strncmp(err.text, "f:", 2) == 0));
            assert_int_equal(code == HSMART_OK, config != NULL);
            hs_config_free(config);
        }
        struct hs_config *config = NULL;
        assert_int_equal(hs_config_parse(good, "f", &config, NULL), HSMART_OK);
        hs_config_free(config);
    }
}

static void
nothing_is_printed(void **state)
{
    struct hs_buf printed = {0};
    int kept = dup(STDERR_FILENO), kept_out = dup(STDOUT_FILENO);
    FILE *file = tmpfile();

    (void)state;
    (void)fflush(stdout);
    assert_non_null(file);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
    for (size_t i = 0; i < HS_ARRAY_LEN(refusals); i++) {
        struct hs_config *config = NULL;
        (void)!hs_config_parse(refusals[i].text, "f", &config, NULL);
    }
    (void)fflush(stdout);
    (void)dup2(kept, STDERR_FILENO);
    (void)dup2(kept_out, STDOUT_FILENO);
    rewind(file);
    assert_int_equal(hs_file_read_fd(fileno(file), "the output", 1U << 16, &printed, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&printed), "");
    (void)fclose(file);
    (void)close(kept);
    (void)close(kept_out);
    hs_buf_clear(&printed);
}

/* ---- Where the file is ---- */

static struct place {
    const char *name;
    const char *given, *variable, *config_home, *home; /* names in the directory; NULL: not set */
    const char *found;                                 /* NULL: an error; "": none */
    const char *message;
} places[] = {
    {"the one that is given", "a.conf", "b.conf", "xdg", "home", "a.conf", NULL},
    {"the one that $HSMART_CONFIG names", NULL, "b.conf", "xdg", "home", "b.conf", NULL},
    {"the one below $XDG_CONFIG_HOME", NULL, NULL, "xdg", "home", "xdg/hsmart/hsmart.conf", NULL},
    {"the one below $HOME", NULL, NULL, NULL, "home", "home/.config/hsmart/hsmart.conf", NULL},
    {"an empty $HSMART_CONFIG counts as none", NULL, "", NULL, "home", "home/.config/hsmart/hsmart.conf", NULL},
    {"none", NULL, NULL, NULL, "elsewhere", "", NULL},
    {"none, with a user's folder that has none", NULL, NULL, "elsewhere", "home", "", NULL},
    {"the one that is given is not there", "none.conf", NULL, NULL, "home", NULL, "which --config names"},
    {"the one that $HSMART_CONFIG names is not there", NULL, "none.conf", NULL, "home", NULL, "$HSMART_CONFIG"},
};

static void
set_variable(const char *variable, const char *name)
{
    if (name == NULL)
        assert_int_equal(unsetenv(variable), 0);
    else
        assert_int_equal(setenv(variable, name[0] != 0 ? in_directory(name) : "", 1), 0);
}

static void
the_first_of_the_places_counts(void **state)
{
    const struct place *row = *state;
    struct hs_buf path = {0};
    hsmart_err err = {0};
    char given[256] = "";

    if (access("/etc/hsmart/hsmart.conf", F_OK) == 0)
        skip(); /* a machine where hsmart is in use */
    if (row->given != NULL)
        (void)snprintf(given, sizeof given, "%s", in_directory(row->given));
    set_variable("HSMART_CONFIG", row->variable);
    set_variable("XDG_CONFIG_HOME", row->config_home);
    set_variable("HOME", row->home);
    enum hsmart_code code = hs_config_find(row->given != NULL ? given : NULL, &path, &err);
    assert_int_equal(code, row->found != NULL ? HSMART_OK : HSMART_CONFIG_INVALID);
    if (row->found == NULL)
        assert_non_null(strstr(err.text, row->message));
    else
        assert_string_equal(hs_buf_text(&path), row->found[0] != 0 ? in_directory(row->found) : "");
    hs_buf_clear(&path);
}

static void
a_file_that_is_not_there_is_an_error_of_the_configuration(void **state)
{
    struct hs_config *config = NULL;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_config_load(in_directory("none.conf"), &config, &err), HSMART_CONFIG_INVALID);
    assert_non_null(strstr(err.text, "No such file"));
    assert_int_equal(hs_config_load(directory, &config, &err), HSMART_CONFIG_INVALID);
}

/* ---- The kinds of PIN source, which another layer reads ---- */

static void
every_kind_of_pin_source_is_known_and_no_other(void **state)
{
    struct hs_buf words = {0};

    (void)state;
    for (size_t i = 0; i < hs_pin_kind_count; i++)
        assert_int_equal(hs_buf_append_format(&words, NULL, "%s%s%s", i > 0 ? " " : "", hs_pin_kinds[i].name,
                                              hs_pin_kinds[i].takes_argument ? ":" : ""),
                         HSMART_OK);
    for (size_t i = 0; i < hs_config_setting_count; i++)
        if (strcmp(hs_config_settings[i].name, "pin-source") == 0)
            assert_string_equal(hs_config_settings[i].words, hs_buf_text(&words));
    hs_buf_clear(&words);
}

/* ---- The document ---- */

static void
load_document(struct hs_buf *out)
{
    const char *source = getenv("HSMART_SOURCE");
    char path[512];

    (void)snprintf(path, sizeof path, "%s/docs/configuration.md", source != NULL ? source : ".");
    assert_int_equal(hs_file_read(path, 1U << 20, out, NULL), HSMART_OK);
}

static void
format_line(const struct hs_config_setting *row, struct hs_buf *out)
{
    const char *kind = hs_config_kinds[row->kind].name;
    char type[64];

    (void)snprintf(type, sizeof type, "%s", row->type->name);
    if (row->max > 0)
        (void)snprintf(type, sizeof type, "%s, %ld to %ld", row->type->name, row->min, row->max);
    if (strcmp(row->type->name, "name") == 0)
        (void)snprintf(type, sizeof type, "name of a %s", hs_config_kinds[row->refers_to].name);
    if (hs_config_is_refused(row))
        assert_int_equal(hs_buf_append_format(out, NULL, "\n- `%s` in a %s\n", row->name, kind), HSMART_OK);
    else
        assert_int_equal(hs_buf_append_format(out, NULL, "\n| `%s` | %s | %s | %s |\n", row->name, type,
                                              row->required ? "required" : row->fallback, row->meaning),
                         HSMART_OK);
}

/* From the heading of a kind's settings to the next one. */
static struct hs_span
part_of(const struct hs_buf *document, const char *heading)
{
    const char *start = strstr(hs_buf_text(document), heading);

    assert_non_null(start);
    start += strlen(heading);
    const char *end = strstr(start, "\n## ");
    return (struct hs_span){(const uint8_t *)start, end != NULL ? (size_t)(end - start) : strlen(start)};
}

static size_t
count_of(struct hs_span part, const char *text)
{
    size_t count = 0;

    for (const uint8_t *at = part.data;
         (at = memmem(at, part.len - (size_t)(at - part.data), text, strlen(text))) != NULL; at++)
        count++;
    return count;
}

static void
the_document_has_every_setting_and_no_other(void **state)
{
    struct hs_buf document = {0};
    size_t rows = 0;

    (void)state;
    load_document(&document);
    for (size_t i = 0; i < hs_config_setting_count; i++) {
        const struct hs_config_setting *row = &hs_config_settings[i];
        struct hs_buf line = {0};
        char heading[64];
        (void)snprintf(heading, sizeof heading, "\n## Settings of a %s\n", hs_config_kinds[row->kind].name);
        struct hs_span part = part_of(&document, hs_config_is_refused(row) ? "\n## What is refused\n" : heading);
        format_line(row, &line);
        if (memmem(part.data, part.len, line.data, line.len) == NULL)
            fail_msg("docs/configuration.md lacks the line %s", hs_buf_text(&line));
        hs_buf_clear(&line);
    }
    for (size_t i = 0; i < HS_CONFIG_KIND_COUNT; i++) {
        char heading[64];
        (void)snprintf(heading, sizeof heading, "\n## Settings of a %s\n", hs_config_kinds[i].name);
        rows += count_of(part_of(&document, heading), "\n| `");
    }
    rows += count_of(part_of(&document, "\n## What is refused\n"), "\n- `");
    assert_int_equal(rows, hs_config_setting_count);
    hs_buf_clear(&document);
}

static void
the_documents_example_is_good_and_has_every_setting(void **state)
{
    struct hs_buf document = {0}, example = {0};
    struct hs_config *config = NULL;
    hsmart_err err = {0};

    (void)state;
    load_document(&document);
    struct hs_span part = part_of(&document, "\n## An example\n");
    const uint8_t *start = memmem(part.data, part.len, "\n```\n", 5);
    assert_non_null(start);
    const uint8_t *end = memmem(start + 5, part.len - (size_t)(start + 5 - part.data), "\n```\n", 5);
    assert_non_null(end);
    assert_int_equal(hs_buf_append(&example, (struct hs_span){start + 5, (size_t)(end - start - 5)}, NULL), HSMART_OK);
    if (hs_config_parse(hs_buf_text(&example), "example", &config, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < hs_config_setting_count; i++) {
        char setting[64];
        (void)snprintf(setting, sizeof setting, "    %s ", hs_config_settings[i].name);
        if (!hs_config_is_refused(&hs_config_settings[i]) && strstr(hs_buf_text(&example), setting) == NULL)
            fail_msg("the example in docs/configuration.md lacks%s", setting + 3);
    }
    const struct hs_config_client *client = hs_config_get_client(config, "epic");
    assert_string_equal(client->scope, "system/Patient.rs system/Observation.rs");
    assert_string_equal(client->key->token->pin_source, "file:/etc/hsmart/prod.pin");
    assert_string_equal(client->key->thumbprint, THUMBPRINT);
    assert_int_equal(client->key->token->max_sessions, 4);
    assert_int_equal(client->assertion_lifetime_s, 240);
    assert_string_equal(hs_config_get_client(config, "legacy")->client_secret_source, "credential:legacy-secret");
    hs_config_free(config);
    hs_buf_clear(&document);
    hs_buf_clear(&example);
}

static void
make_places(void)
{
    static const char *const folders[] = {"home", "home/.config", "home/.config/hsmart",
                                          "xdg",  "xdg/hsmart",   "elsewhere"};
    static const char *const files[] = {"a.conf", "b.conf", "home/.config/hsmart/hsmart.conf",
                                        "xdg/hsmart/hsmart.conf"};

    for (size_t i = 0; i < HS_ARRAY_LEN(folders); i++)
        (void)mkdir(in_directory(folders[i]), 0700);
    for (size_t i = 0; i < HS_ARRAY_LEN(files); i++)
        (void)!hs_file_write_atomic(in_directory(files[i]), hs_span_str(TOKEN), 0600, NULL);
}

int
main(void)
{
    static struct rows rows;
    char command[96];

    (void)snprintf(directory, sizeof directory, "/tmp/hsmart-config-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return 1;
    make_places();
    ADD_ROWS(&rows, a_wrong_file_is_refused_with_line_reason_and_cure, refusals);
    ADD_ROWS(&rows, a_value_is_read, values);
    ADD_TEST(&rows, an_empty_file_is_a_configuration_of_nothing);
    ADD_TEST(&rows, sections_may_stand_in_any_order);
    ADD_TEST(&rows, one_name_may_stand_for_a_token_and_a_key_and_a_client);
    ADD_TEST(&rows, what_is_not_set_is_told_from_what_is);
    ADD_TEST(&rows, without_a_name_only_the_only_one_is_found);
    ADD_TEST(&rows, a_nul_byte_does_not_end_the_file);
    ADD_TEST(&rows, a_file_of_any_size_gets_an_answer);
    ADD_TEST(&rows, a_thousand_sections_are_enough);
    ADD_TEST(&rows, a_damaged_file_gets_an_answer);
    ADD_TEST(&rows, nothing_is_printed);
    ADD_ROWS(&rows, the_first_of_the_places_counts, places);
    ADD_TEST(&rows, a_file_that_is_not_there_is_an_error_of_the_configuration);
    ADD_TEST(&rows, every_kind_of_pin_source_is_known_and_no_other);
    ADD_TEST(&rows, the_document_has_every_setting_and_no_other);
    ADD_TEST(&rows, the_documents_example_is_good_and_has_every_setting);
    int status = rows_run("config", &rows);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? status : 1;
}
