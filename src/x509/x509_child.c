#define _GNU_SOURCE /* pipe2 */
#include "x509_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "x509_libp11.h"

#define ANSWER_MAX_LEN (64U << 10)
#define PIN_MAX_LEN 1024U
#define TASK_MAX_LEN (32U << 10)

/* What the child says, in this order: how the login ended, then the result or the error. One tag, one length, the
 * bytes. */
enum tag { TAG_LOGIN_TRIED = 'l', TAG_LOGIN_TAKEN = 'L', TAG_LOGIN_REFUSED = 'R', TAG_DER = 'D', TAG_ERROR = 'E' };
struct heading {
    uint32_t tag, len;
};

/* ---- The task, as it goes to the child: fields with their lengths in front ---- */

enum field {
    MODULE,
    INIT_STRING,
    TOKEN_LABEL,
    TOKEN_SERIAL,
    KEY_LABEL,
    KEY_ID,
    PUBLIC_KEY,
    ALG,
    HAS_LOGIN,
    PIN,
    FIELD_COUNT
};

static enum hsmart_code
put_field(struct hs_buf *task, struct hs_span field, hsmart_err *err)
{
    uint32_t len = (uint32_t)field.len;
    enum hsmart_code code = hs_buf_append(task, (struct hs_span){(const uint8_t *)&len, sizeof len}, err);

    return code == HSMART_OK ? hs_buf_append(task, field, err) : code;
}

static enum hsmart_code
put_task(struct hs_buf *task, const struct hs_x509_source *source, const struct hs_alg *alg, hsmart_err *err)
{
    unsigned char *public_key = NULL;
    int public_len = i2d_PUBKEY(source->jwk->pkey, &public_key);
    const struct hs_span fields[FIELD_COUNT] = {
        [MODULE] = hs_span_str(source->module),
        [INIT_STRING] = hs_span_str(source->init_string),
        [TOKEN_LABEL] = hs_span_str(source->token_label),
        [TOKEN_SERIAL] = hs_span_str(source->token_serial),
        [KEY_LABEL] = source->key_label,
        [KEY_ID] = source->key_id,
        [PUBLIC_KEY] = {public_key, public_len > 0 ? (size_t)public_len : 0},
        [ALG] = hs_span_str(alg->name),
        [HAS_LOGIN] = hs_span_str(source->has_login ? "1" : ""),
        [PIN] = source->pin,
    };
    enum hsmart_code code = hs_buf_reserve(task, TASK_MAX_LEN, err); /* it holds the PIN: it does not move */

    for (size_t i = 0; i < FIELD_COUNT && code == HSMART_OK; i++)
        code = put_field(task, fields[i], err);
    OPENSSL_free(public_key);
    return code;
}

/* False when the text is not a task: the parent has ended. */
static bool
take_fields(const struct hs_buf *task, struct hs_span fields[FIELD_COUNT])
{
    size_t at = 0;

    for (size_t i = 0; i < FIELD_COUNT; i++) {
        uint32_t len;
        if (task->len - at < sizeof len)
            return false;
        memcpy(&len, task->data + at, sizeof len);
        at += sizeof len;
        if (task->len - at < len)
            return false;
        fields[i] = (struct hs_span){task->data + at, len};
        at += len;
    }
    return at == task->len;
}

/* ---- In the child ---- */

struct child {
    int answer_fd;
    char *module, *init_string, *token_label, *token_serial; /* init_string "": none */
    struct hs_span key_label, key_id;
    EVP_PKEY *public_key;
    bool has_login;
    struct hs_x509_wish wish;
    struct hs_libp11 libp11;
    char pin[PIN_MAX_LEN + 1];
};

static enum hsmart_code
dup_field(struct hs_span field, char **out_text, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append(&text, field, err);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, out_text, err);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
take_task(struct child *child, const struct hs_span fields[FIELD_COUNT], hsmart_err *err)
{
    const unsigned char *public_key = fields[PUBLIC_KEY].data;
    char *alg = NULL;
    enum hsmart_code code = dup_field(fields[MODULE], &child->module, err);

    if (code == HSMART_OK)
        code = dup_field(fields[INIT_STRING], &child->init_string, err);
    if (code == HSMART_OK)
        code = dup_field(fields[TOKEN_LABEL], &child->token_label, err);
    if (code == HSMART_OK)
        code = dup_field(fields[TOKEN_SERIAL], &child->token_serial, err);
    if (code == HSMART_OK)
        code = dup_field(fields[ALG], &alg, err);
    if (code != HSMART_OK)
        return code;
    child->wish.alg = hs_alg_by_name(alg);
    child->key_label = fields[KEY_LABEL];
    child->key_id = fields[KEY_ID];
    child->has_login = fields[HAS_LOGIN].len > 0;
    child->public_key = d2i_PUBKEY(NULL, &public_key, (long)fields[PUBLIC_KEY].len);
    if (fields[PIN].len > PIN_MAX_LEN)
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the PIN is longer than %u bytes", PIN_MAX_LEN);
    if (fields[PIN].len > 0)
        memcpy(child->pin, fields[PIN].data, fields[PIN].len);
    return HSMART_OK;
}

/* Neither libp11's nor the module's own end of the world runs, nor the parent's. */
#ifdef HSMART_COVERAGE
void __gcov_dump(void); /* what the child reached is counted, too */
#endif
static _Noreturn void
end_child(int status)
{
#ifdef HSMART_COVERAGE
    __gcov_dump();
#endif
    _exit(status);
}

static void
say(const struct child *child, enum tag tag, struct hs_span body)
{
    struct heading heading = {tag, (uint32_t)body.len};

    enum hsmart_code code = hs_file_write_fd(child->answer_fd, "the parent",
                                             (struct hs_span){(const uint8_t *)&heading, sizeof heading}, NULL);

    if (code == HSMART_OK && body.len > 0)
        code = hs_file_write_fd(child->answer_fd, "the parent", body, NULL);
    if (code != HSMART_OK)
        end_child(1); /* the parent is gone, and there is nobody else to tell */
}

/* The PIN for a key that asks for it at each use: libp11 asks OpenSSL's user interface. */
static int
ui_read(UI *ui, UI_STRING *string)
{
    const struct child *child = UI_get0_user_data(ui);

    if (UI_get_string_type(string) != UIT_PROMPT && UI_get_string_type(string) != UIT_VERIFY)
        return 1;
    return UI_set_result(ui, string, child->pin) == 0;
}

static enum hsmart_code
load_module(struct child *child, PKCS11_CTX **out_context, hsmart_err *err)
{
    PKCS11_CTX *context;
    UI_METHOD *ui = UI_create_method("hsmart");
    enum hsmart_code code = hs_libp11_load(&child->libp11, err);

    if (code != HSMART_OK)
        return code;
    context = child->libp11.ctx_new();
    if (context == NULL || ui == NULL)
        return hs_err_no_memory(err);
    (void)UI_method_set_reader(ui, ui_read);
    (void)child->libp11.set_ui_method(context, ui, child);
    if (child->init_string[0] != 0)
        child->libp11.ctx_init_args(context, child->init_string);
    if (child->libp11.ctx_load(context, child->module) != 0)
        return hs_err_set(err, HSMART_MODULE_UNUSABLE, "libp11 cannot load the module \"%s\"", child->module);
    *out_context = context;
    return HSMART_OK;
}

static bool
is_this_token(const PKCS11_SLOT *slot, const struct child *child)
{
    const PKCS11_TOKEN *token = slot->token;

    return token != NULL && token->label != NULL && token->serialnr != NULL &&
           strcmp(token->label, child->token_label) == 0 && strcmp(token->serialnr, child->token_serial) == 0;
}

static enum hsmart_code
find_slot(struct child *child, PKCS11_CTX *context, PKCS11_SLOT **out_slot, hsmart_err *err)
{
    PKCS11_SLOT *slots = NULL;
    unsigned int count = 0;

    if (child->libp11.enumerate_slots(context, &slots, &count) != 0)
        return hs_err_set(err, HSMART_TOKEN_FAILED, "libp11 cannot list the slots");
    for (unsigned int i = 0; i < count; i++)
        if (is_this_token(&slots[i], child)) {
            *out_slot = &slots[i];
            return HSMART_OK;
        }
    return hs_err_set(err, HSMART_TOKEN_ABSENT, "libp11 does not see token \"%s\"", child->token_label);
}

/* CKR_PIN_INCORRECT to CKR_PIN_LOCKED, and CKR_USER_PIN_NOT_INITIALIZED: libp11 gives them as the reason. */
static bool
is_about_pin(int reason)
{
    return (reason >= 0xa0 && reason <= 0xa4) || reason == 0x102;
}

static enum hsmart_code
log_in(struct child *child, PKCS11_SLOT *slot, hsmart_err *err)
{
    unsigned char unused;

    if (!child->has_login)
        return HSMART_OK;
    /* Has libp11 open its session, whatever comes of the call: where that waits for ever, no PIN has been tried. */
    (void)child->libp11.generate_random(slot, &unused, 1);
    say(child, TAG_LOGIN_TRIED, (struct hs_span){0});
    ERR_clear_error();
    if (child->libp11.login(slot, 0, child->pin[0] != 0 ? child->pin : NULL) == 0) {
        say(child, TAG_LOGIN_TAKEN, (struct hs_span){0});
        return HSMART_OK;
    }
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (!is_about_pin(reason)) {
        say(child, TAG_LOGIN_TAKEN, (struct hs_span){0}); /* whatever it was, it was no word against the PIN */
        return hs_err_set(err, HSMART_TOKEN_FAILED, "libp11 cannot log in (CKR 0x%x)", (unsigned)reason);
    }
    say(child, TAG_LOGIN_REFUSED, (struct hs_span){0});
    return hs_err_set(err, HSMART_PIN_REFUSED, "the token refused the PIN that it had taken a moment before");
}

static bool
is_this_key(const PKCS11_KEY *key, const struct child *child)
{
    if (!key->isPrivate)
        return false;
    if (child->key_id.len > 0)
        return hs_span_equal((struct hs_span){key->id, key->id_len}, child->key_id);
    return hs_span_equal_str(child->key_label, key->label != NULL ? key->label : "");
}

/* The id may be shared by several keys; the public half decides. */
static enum hsmart_code
find_key(struct child *child, PKCS11_SLOT *slot, EVP_PKEY **out_key, hsmart_err *err)
{
    PKCS11_KEY *keys = NULL;
    unsigned int count = 0;
    bool seen = false;

    if (child->libp11.enumerate_keys(slot->token, &keys, &count) != 0) {
        (void)hs_err_set(err, HSMART_TOKEN_FAILED, "libp11 cannot list the keys of the token");
        hs_err_hint(err,
                    "libp11 0.4.12 lists none when one of them is of a type that it does not know, such as Ed25519: "
                    "use a token, or a partition, without such keys");
        return HSMART_TOKEN_FAILED;
    }
    for (unsigned int i = 0; i < count; i++) {
        if (!is_this_key(&keys[i], child))
            continue;
        seen = true;
        EVP_PKEY *key = child->libp11.get_private_key(&keys[i]);
        if (key != NULL && EVP_PKEY_eq(key, child->public_key) == 1) {
            *out_key = key;
            return HSMART_OK;
        }
    }
    return hs_err_set(err, seen ? HSMART_KEY_MISMATCH : HSMART_KEY_ABSENT,
                      seen ? "libp11 finds another key under this name" : "libp11 does not find the key");
}

static enum hsmart_code
make(struct child *child, struct hs_buf *out_der, hsmart_err *err)
{
    PKCS11_CTX *context = NULL;
    PKCS11_SLOT *slot = NULL;
    EVP_PKEY *key = NULL;
    enum hsmart_code code = load_module(child, &context, err);

    if (code == HSMART_OK)
        code = find_slot(child, context, &slot, err);
    if (code == HSMART_OK)
        code = log_in(child, slot, err);
    if (code == HSMART_OK)
        code = find_key(child, slot, &key, err);
    if (code == HSMART_OK)
        code = hs_x509_make(key, &child->wish, out_der, err);
    return code;
}

/* Waits for the task, does it, and ends. */
static _Noreturn void
run_child(int task_fd, int answer_fd, const struct hs_x509_wish *wish)
{
    struct child child = {.answer_fd = answer_fd, .wish = *wish};
    struct hs_buf task = {.max_len = TASK_MAX_LEN}, der = {0};
    struct hs_span fields[FIELD_COUNT];
    hsmart_err err = {0};
    enum hsmart_code code = hs_file_read_fd(task_fd, "the parent", TASK_MAX_LEN, &task, &err);

    if (code == HSMART_OK && !take_fields(&task, fields))
        end_child(0);
    if (code == HSMART_OK)
        code = take_task(&child, fields, &err);
    if (code == HSMART_OK)
        code = make(&child, &der, &err);
    hs_wipe(child.pin, sizeof child.pin);
    hs_buf_clear(&task);
    err.code = code;
    if (code == HSMART_OK)
        say(&child, TAG_DER, hs_span_buf(&der));
    else
        say(&child, TAG_ERROR, (struct hs_span){(const uint8_t *)&err, sizeof err});
    end_child(0);
}

/* ---- In the parent ---- */

/* Reads until the child has closed its end; false when the deadline passes first. */
static bool
read_answer(int fd, unsigned timeout_ms, struct hs_buf *out)
{
    int64_t deadline = hs_clock_monotonic_ms() + timeout_ms;
    uint8_t piece[4096];

    for (;;) {
        int64_t left = deadline - hs_clock_monotonic_ms();
        struct pollfd waited = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return false;
        int ready = poll(&waited, 1, left > 1000 ? 1000 : (int)left);
        if (ready <= 0)
            continue;
        ssize_t got = read(fd, piece, sizeof piece);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return true;
        if (got > 0 && (out->len + (size_t)got > ANSWER_MAX_LEN ||
                        hs_buf_append(out, (struct hs_span){piece, (size_t)got}, NULL) != HSMART_OK))
            return true;
    }
}

struct answer {
    enum hs_x509_login login;
    struct hs_span der;
    const hsmart_err *error; /* may not be aligned: copied before use */
};

static void
understand(const struct hs_buf *text, struct answer *answer)
{
    struct heading heading;

    for (size_t at = 0; at + sizeof heading <= text->len; at += sizeof heading + heading.len) {
        memcpy(&heading, text->data + at, sizeof heading);
        if (heading.len > text->len - at - sizeof heading)
            return;
        switch (heading.tag) {
        case TAG_LOGIN_TRIED:
            answer->login = HS_X509_LOGIN_UNKNOWN;
            break;
        case TAG_LOGIN_TAKEN:
            answer->login = HS_X509_LOGIN_TAKEN;
            break;
        case TAG_LOGIN_REFUSED:
            answer->login = HS_X509_LOGIN_REFUSED;
            break;
        case TAG_DER:
            answer->der = (struct hs_span){text->data + at + sizeof heading, heading.len};
            break;
        case TAG_ERROR:
            if (heading.len == sizeof(hsmart_err))
                answer->error = (const hsmart_err *)(const void *)(text->data + at + sizeof heading);
            break;
        default:
            return;
        }
    }
}

static enum hsmart_code
tell_end(bool in_time, int status, unsigned timeout_ms, hsmart_err *err)
{
    enum hsmart_code code;

    if (!in_time) {
        code = hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "libp11 did not come back within %u s and was ended",
                          timeout_ms / 1000);
        hs_err_hint(err, "libp11 0.4.12 waits for ever when the token does not open a session: look at the token with "
                         "\"hsmart-key list\"");
        return code;
    }
    code = WIFSIGNALED(status)
               ? hs_err_set(err, HSMART_TOKEN_FAILED, "libp11 or the module crashed (signal %d)", WTERMSIG(status))
               : hs_err_set(err, HSMART_TOKEN_FAILED, "libp11 or the module ended without an answer");
    hs_err_hint(err,
                "libp11 0.4.12 crashes on a private key without a public key object: import the public key beside it");
    return code;
}

static enum hsmart_code
result_of(const struct hs_buf *text, bool in_time, int status, const struct hs_x509_source *source,
          const struct hs_x509_wish *wish, enum hs_x509_login *out_login, struct hs_buf *out_der, hsmart_err *err)
{
    struct answer answer = {.login = HS_X509_LOGIN_NOT_TRIED};
    enum hsmart_code code;

    understand(text, &answer);
    *out_login = answer.login;
    if (answer.error != NULL) {
        hsmart_err told;
        memcpy(&told, answer.error, sizeof told);
        if (err != NULL)
            *err = told;
        return told.code != HSMART_OK ? told.code : HSMART_INTERNAL;
    }
    if (answer.der.len == 0)
        return tell_end(in_time, status, source->timeout_ms != 0 ? source->timeout_ms : HS_X509_TIMEOUT_MS, err);
    code = hs_x509_verify(answer.der, wish, source->jwk, err);
    return code == HSMART_OK ? hs_buf_append(out_der, answer.der, err) : code;
}

enum hsmart_code
hs_x509_child_start(const struct hs_x509_wish *wish, struct hs_x509_child *out_child, hsmart_err *err)
{
    int task[2], answer[2];

    /* A program that the PIN source starts must not keep the pipes open. */
    if (pipe2(task, O_CLOEXEC) != 0)
        return hs_err_errno(err, HSMART_INTERNAL, errno, "a pipe cannot be made");
    if (pipe2(answer, O_CLOEXEC) != 0) {
        int reason = errno;
        (void)close(task[0]);
        (void)close(task[1]);
        return hs_err_errno(err, HSMART_INTERNAL, reason, "a pipe cannot be made");
    }
    pid_t parent = getpid(), pid = fork();
    int reason = errno;
    if (pid == 0) {
        /* One that libp11 holds for ever must not stay, with the PIN, when this process is ended. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
            end_child(1);
        (void)close(task[1]);
        (void)close(answer[0]);
        run_child(task[0], answer[1], wish);
    }
    (void)close(task[0]);
    (void)close(answer[1]);
    if (pid < 0) {
        (void)close(task[1]);
        (void)close(answer[0]);
        return hs_err_errno(err, HSMART_INTERNAL, reason, "a child process cannot be started");
    }
    *out_child = (struct hs_x509_child){.pid = pid, .task_fd = task[1], .answer_fd = answer[0]};
    return HSMART_OK;
}

static int
wait_for(struct hs_x509_child *child)
{
    int status = 0;

    (void)close(child->answer_fd);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    *child = (struct hs_x509_child){0};
    return status;
}

void
hs_x509_child_end(struct hs_x509_child *child)
{
    if (child->pid == 0)
        return;
    (void)kill(child->pid, SIGKILL);
    (void)close(child->task_fd);
    (void)wait_for(child);
}

enum hsmart_code
hs_x509_child_make(struct hs_x509_child *child, const struct hs_x509_source *source, const struct hs_x509_wish *wish,
                   enum hs_x509_login *out_login, struct hs_buf *out_der, hsmart_err *err)
{
    struct hs_buf task = {.max_len = TASK_MAX_LEN}, text = {.max_len = ANSWER_MAX_LEN};
    unsigned timeout_ms = source->timeout_ms != 0 ? source->timeout_ms : HS_X509_TIMEOUT_MS;
    enum hsmart_code code = hs_x509_check_wish(wish, err);

    *out_login = HS_X509_LOGIN_NOT_TRIED;
    if (code == HSMART_OK)
        code = put_task(&task, source, wish->alg, err);
    if (code == HSMART_OK)
        code = hs_file_write_fd(child->task_fd, "the child", hs_span_buf(&task), err);
    hs_buf_clear(&task);
    if (code != HSMART_OK) {
        hs_x509_child_end(child);
        return code;
    }
    (void)close(child->task_fd);
    bool in_time = read_answer(child->answer_fd, timeout_ms, &text);
    if (!in_time)
        (void)kill(child->pid, SIGKILL);
    int status = wait_for(child);
    code = result_of(&text, in_time, status, source, wish, out_login, out_der, err);
    hs_buf_clear(&text);
    return code;
}
