/* Administration, for tests: what was seen, what goes wrong, and the clock. On loopback only (routes.c). */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "exchange.h"
#include "form.h"

#define CLOCK_OFFSET_MAX_S (400L * 86400)
#define JSON_TYPE "application/json"

/* The value of a parameter, of the form in the body or of the query. */
static enum hsmart_code
take_parameter(const struct exchange *exchange, const char *wanted, struct hs_buf *out, hsmart_err *err)
{
    const struct hs_span *of_query = field_get(&exchange->request->query, wanted);
    struct hs_span rest = exchange->request->body, name, value;

    if (of_query != NULL)
        return hs_buf_append(out, *of_query, err);
    while (hs_form_next(&rest, &name, &value))
        if (hs_span_equal_str(name, wanted))
            return hs_form_decode(value, out, err);
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the parameter \"%s\" is missing", wanted);
}

static enum hsmart_code
answer_done(struct exchange *exchange, hsmart_err *err)
{
    return answer_text(exchange, 200, "done\n", err);
}

static enum hsmart_code
put_faults(const struct faults *faults, struct hs_json_writer *writer, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = HSMART_OK;

    hs_json_begin_array(writer);
    for (size_t i = 0; i < faults->count && code == HSMART_OK; i++) {
        text.len = 0;
        code = fault_format(&faults->items[i], &text, err);
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "fault", hs_buf_text(&text));
        if (faults->items[i].times == FAULT_ALWAYS)
            hs_json_member_text(writer, "left", "always");
        else
            hs_json_member_integer(writer, "left", faults->items[i].left);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_buf_clear(&text);
    return code;
}

enum hsmart_code
serve_admin_state(struct exchange *exchange, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 200, JSON_TYPE, &writer, err);

    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "fhir_base", hs_buf_text(&sandbox->fhir_base));
    hs_json_member_text(&writer, "server", sandbox->row->name);
    hs_json_member_boolean(&writer, "strict", sandbox->settings->strict);
    hs_json_member_integer(&writer, "now", sandbox_now_s(sandbox));
    hs_json_member_integer(&writer, "resources", (int64_t)sandbox->fhir.count);
    (void)pthread_mutex_lock(&sandbox->lock);
    hs_json_member_integer(&writer, "clients", (int64_t)sandbox->clients.count);
    hs_json_member_integer(&writer, "access_tokens", (int64_t)sandbox->access_tokens.count);
    hs_json_member_integer(&writer, "jtis", (int64_t)sandbox->jtis.count);
    hs_json_member_integer(&writer, "requests", (int64_t)sandbox->history.count);
    hs_json_name(&writer, "faults");
    code = put_faults(&sandbox->faults, &writer, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    hs_json_end_object(&writer);
    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

static enum hsmart_code
answer_history(struct exchange *exchange, void (*put)(const struct history *history, struct hs_json_writer *writer),
               hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 200, JSON_TYPE, &writer, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&exchange->sandbox->lock);
    put(&exchange->sandbox->history, &writer);
    (void)pthread_mutex_unlock(&exchange->sandbox->lock);
    return hs_json_writer_finish(&writer, err);
}

enum hsmart_code
serve_admin_requests(struct exchange *exchange, hsmart_err *err)
{
    return answer_history(exchange, history_put, err);
}

enum hsmart_code
serve_admin_inferno(struct exchange *exchange, hsmart_err *err)
{
    return answer_history(exchange, history_put_inferno, err);
}

/* ---- Faults ---- */

enum hsmart_code
serve_admin_faults(struct exchange *exchange, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 200, JSON_TYPE, &writer, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&sandbox->lock);
    code = put_faults(&sandbox->faults, &writer, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

enum hsmart_code
serve_admin_set_fault(struct exchange *exchange, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct hs_buf name = {0};
    hsmart_err reason = {0};
    enum hsmart_code code = take_parameter(exchange, "fault", &name, &reason);

    if (code == HSMART_OK && strncmp(hs_buf_text(&name), "tls.", strlen("tls.")) == 0)
        code = hs_err_set(&reason, HSMART_INVALID_ARGUMENT, "the certificate is chosen at the start: --fault %s",
                          hs_buf_text(&name));
    if (code == HSMART_OK) {
        (void)pthread_mutex_lock(&sandbox->lock);
        code = faults_add(&sandbox->faults, hs_buf_text(&name), &reason);
        (void)pthread_mutex_unlock(&sandbox->lock);
    }
    hs_buf_clear(&name);
    return code == HSMART_OK ? answer_done(exchange, err) : answer_error(exchange, 400, err, "%s", reason.text);
}

enum hsmart_code
serve_admin_clear_faults(struct exchange *exchange, hsmart_err *err)
{
    (void)pthread_mutex_lock(&exchange->sandbox->lock);
    exchange->sandbox->faults.count = 0;
    (void)pthread_mutex_unlock(&exchange->sandbox->lock);
    return answer_done(exchange, err);
}

/* ---- Memory ---- */

enum hsmart_code
serve_admin_revoke(struct exchange *exchange, hsmart_err *err)
{
    (void)pthread_mutex_lock(&exchange->sandbox->lock);
    expiring_clear(&exchange->sandbox->access_tokens);
    (void)pthread_mutex_unlock(&exchange->sandbox->lock);
    return answer_done(exchange, err);
}

enum hsmart_code
serve_admin_reset(struct exchange *exchange, hsmart_err *err)
{
    (void)pthread_mutex_lock(&exchange->sandbox->lock);
    expiring_clear(&exchange->sandbox->access_tokens);
    expiring_clear(&exchange->sandbox->jtis);
    history_clear(&exchange->sandbox->history);
    (void)pthread_mutex_unlock(&exchange->sandbox->lock);
    return answer_done(exchange, err);
}

enum hsmart_code
serve_admin_expire_jwks(struct exchange *exchange, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct client *client = NULL;

    /* Not under the lock of the sandbox: a key set that is being read holds its own for seconds. */
    for (size_t i = 0;; i++) {
        (void)pthread_mutex_lock(&sandbox->lock);
        client = i < sandbox->clients.count ? sandbox->clients.items[i] : NULL;
        (void)pthread_mutex_unlock(&sandbox->lock);
        if (client == NULL)
            return answer_done(exchange, err);
        if (client->keys.url != NULL)
            jwks_source_expire(&client->keys);
    }
}

enum hsmart_code
serve_admin_clock(struct exchange *exchange, hsmart_err *err)
{
    struct hs_buf text = {0};
    hsmart_err reason = {0};
    enum hsmart_code code = take_parameter(exchange, "offset", &text, &reason);
    char *end = NULL;
    long offset_s = strtol(hs_buf_text(&text), &end, 10);

    if (code == HSMART_OK &&
        (text.len == 0 || *end != 0 || offset_s > CLOCK_OFFSET_MAX_S || offset_s < -CLOCK_OFFSET_MAX_S))
        code = hs_err_set(&reason, HSMART_INVALID_ARGUMENT, "offset is no number of seconds within 400 days");
    hs_buf_clear(&text);
    if (code != HSMART_OK)
        return answer_error(exchange, 400, err, "%s", reason.text);
    atomic_store(&exchange->sandbox->clock_offset_s, offset_s);
    return answer_done(exchange, err);
}
