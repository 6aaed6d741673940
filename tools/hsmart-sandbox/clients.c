#include "clients.h"

#include <openssl/crypto.h>

#include "err.h"

void
client_free(struct client *client)
{
    if (client == NULL)
        return;
    hs_string_free(client->id);
    hs_string_free(client->name);
    hs_string_free(client->signing_alg);
    hs_string_free(client->scope);
    jwks_source_clear(&client->keys);
    hs_free(client);
}

enum hsmart_code
client_set_secret(struct client *client, struct hs_span secret, hsmart_err *err)
{
    return digest_of(hs_span_str("client secret"), secret, &client->secret, err);
}

bool
client_has_secret(const struct client *client, struct hs_span secret)
{
    struct digest digest = {0};

    return digest_of(hs_span_str("client secret"), secret, &digest, NULL) == HSMART_OK &&
           CRYPTO_memcmp(digest.bytes, client->secret.bytes, DIGEST_LEN) == 0;
}

enum hsmart_code
clients_add(struct clients *clients, struct client *client, hsmart_err *err)
{
    enum hsmart_code code;

    if (clients_find(clients, hs_span_str(client->id)) != NULL)
        return hs_err_set(err, HSMART_KEY_EXISTS, "there is a client with this id already");
    if (clients->count == CLIENTS_MAX)
        return hs_err_set(err, HSMART_SERVER_BUSY, "there are %u clients already", CLIENTS_MAX);
    code = hs_array_grow((void **)&clients->items, clients->count, sizeof(struct client *), err);
    if (code == HSMART_OK)
        clients->items[clients->count++] = client;
    return code;
}

struct client *
clients_find(const struct clients *clients, struct hs_span id)
{
    for (size_t i = 0; i < clients->count; i++)
        if (hs_span_equal_str(id, clients->items[i]->id))
            return clients->items[i];
    return NULL;
}

void
clients_clear(struct clients *clients)
{
    for (size_t i = 0; i < clients->count; i++)
        client_free(clients->items[i]);
    hs_free(clients->items);
    *clients = (struct clients){0};
}
