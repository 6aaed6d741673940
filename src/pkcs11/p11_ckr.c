#include "p11_ckr.h"

#include "bytes.h"
#include "err.h"

/* Codes of PKCS#11 3.0 that p11-kit's header does not name. */
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x42UL
#endif
#ifndef CKR_TOKEN_RESOURCE_EXCEEDED
#define CKR_TOKEN_RESOURCE_EXCEEDED 0x201UL
#endif
#ifndef CKR_OPERATION_CANCEL_FAILED
#define CKR_OPERATION_CANCEL_FAILED 0x202UL
#endif

#define ROW(rv, class, code, words) {rv, #rv, HS_CKR_##class, HSMART_##code, words}
#define ROW_AT(value, name, class, code, words) {value, #name, HS_CKR_##class, HSMART_##code, words}

/* Sorted by value. The classes are what real tokens mean by a code, which is not always what the standard says. */
const struct hs_ckr_row hs_ckr_rows[] = {
    ROW(CKR_OK, DONE, OK, "success"),
    ROW(CKR_CANCEL, DEVICE, TOKEN_FAILED, "cancelled"),
    ROW(CKR_HOST_MEMORY, DEVICE, TOKEN_FAILED, "the module has no memory"),
    ROW(CKR_SLOT_ID_INVALID, DEVICE, TOKEN_ABSENT, "no such slot"),
    ROW(CKR_GENERAL_ERROR, DEVICE, TOKEN_FAILED, "unspecified error"),
    ROW(CKR_FUNCTION_FAILED, DEVICE, TOKEN_FAILED, "function failed"),
    ROW(CKR_ARGUMENTS_BAD, REQUEST, TOKEN_FAILED, "bad arguments"),
    ROW(CKR_NO_EVENT, DONE, OK, "no event"),
    ROW(CKR_NEED_TO_CREATE_THREADS, THREADS, MODULE_UNUSABLE, "the module must create threads"),
    ROW(CKR_CANT_LOCK, THREADS, MODULE_UNUSABLE, "the module cannot lock"),
    ROW(CKR_ATTRIBUTE_READ_ONLY, ATTRIBUTE, TOKEN_FAILED, "attribute is read-only"),
    ROW(CKR_ATTRIBUTE_SENSITIVE, ATTRIBUTE, TOKEN_FAILED, "attribute is sensitive"),
    ROW(CKR_ATTRIBUTE_TYPE_INVALID, ATTRIBUTE, TOKEN_FAILED, "unknown attribute"),
    ROW(CKR_ATTRIBUTE_VALUE_INVALID, ATTRIBUTE, TOKEN_FAILED, "bad attribute value"),
    ROW(CKR_ACTION_PROHIBITED, REFUSED, TOKEN_FAILED, "action prohibited"),
    ROW(CKR_DATA_INVALID, REQUEST, TOKEN_FAILED, "bad data"),
    ROW(CKR_DATA_LEN_RANGE, REQUEST, TOKEN_FAILED, "bad data length"),
    ROW(CKR_DEVICE_ERROR, DEVICE, TOKEN_FAILED, "device error"),
    ROW(CKR_DEVICE_MEMORY, DEVICE, TOKEN_FAILED, "the token has no memory"),
    ROW(CKR_DEVICE_REMOVED, DEVICE, TOKEN_ABSENT, "token unplugged"),
    ROW(CKR_ENCRYPTED_DATA_INVALID, REQUEST, TOKEN_FAILED, "bad encrypted data"),
    ROW(CKR_ENCRYPTED_DATA_LEN_RANGE, REQUEST, TOKEN_FAILED, "bad length of encrypted data"),
    ROW(CKR_AEAD_DECRYPT_FAILED, REQUEST, TOKEN_FAILED, "authenticated decryption failed"),
    ROW(CKR_FUNCTION_CANCELED, DEVICE, TOKEN_FAILED, "function cancelled"),
    ROW(CKR_FUNCTION_NOT_PARALLEL, REQUEST, TOKEN_FAILED, "no parallel function"),
    ROW(CKR_FUNCTION_NOT_SUPPORTED, UNSUPPORTED, TOKEN_INCAPABLE, "function not supported"),
    ROW(CKR_KEY_HANDLE_INVALID, HANDLE, SESSION_LOST, "key handle is stale"),
    ROW(CKR_KEY_SIZE_RANGE, CAPABILITY, TOKEN_INCAPABLE, "key size out of range"),
    ROW(CKR_KEY_TYPE_INCONSISTENT, CAPABILITY, TOKEN_INCAPABLE, "key type does not fit the mechanism"),
    ROW(CKR_KEY_NOT_NEEDED, REQUEST, TOKEN_FAILED, "key not needed"),
    ROW(CKR_KEY_CHANGED, HANDLE, SESSION_LOST, "key changed"),
    ROW(CKR_KEY_NEEDED, REQUEST, TOKEN_FAILED, "key needed"),
    ROW(CKR_KEY_INDIGESTIBLE, CAPABILITY, TOKEN_INCAPABLE, "key cannot be digested"),
    ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, CAPABILITY, TOKEN_INCAPABLE, "the key does not permit this function"),
    ROW(CKR_KEY_NOT_WRAPPABLE, REFUSED, TOKEN_FAILED, "key cannot be wrapped"),
    ROW(CKR_KEY_UNEXTRACTABLE, REFUSED, TOKEN_FAILED, "key cannot be extracted"),
    ROW(CKR_MECHANISM_INVALID, CAPABILITY, TOKEN_INCAPABLE, "mechanism not available for this key"),
    ROW(CKR_MECHANISM_PARAM_INVALID, CAPABILITY, TOKEN_INCAPABLE, "mechanism parameters not accepted"),
    ROW(CKR_OBJECT_HANDLE_INVALID, HANDLE, SESSION_LOST, "object handle is stale"),
    ROW(CKR_OPERATION_ACTIVE, SESSION, SESSION_LOST, "another operation is active"),
    ROW(CKR_OPERATION_NOT_INITIALIZED, SESSION, SESSION_LOST, "operation lost"),
    ROW(CKR_PIN_INCORRECT, PIN_WRONG, PIN_REFUSED, "wrong PIN"),
    ROW(CKR_PIN_INVALID, PIN_WRONG, PIN_REFUSED, "PIN has characters that are not allowed"),
    ROW(CKR_PIN_LEN_RANGE, PIN_WRONG, PIN_REFUSED, "PIN is too short or too long"),
    ROW(CKR_PIN_EXPIRED, PIN_STATE, PIN_LOCKED, "PIN expired"),
    ROW(CKR_PIN_LOCKED, PIN_STATE, PIN_LOCKED, "PIN locked"),
    ROW(CKR_SESSION_CLOSED, SESSION, SESSION_LOST, "session closed"),
    ROW(CKR_SESSION_COUNT, CAPACITY, TOKEN_BUSY, "no free session"),
    ROW(CKR_SESSION_HANDLE_INVALID, SESSION, SESSION_LOST, "session lost"),
    ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED, REQUEST, TOKEN_FAILED, "no parallel session"),
    ROW(CKR_SESSION_READ_ONLY, REFUSED, TOKEN_FAILED, "session is read-only"),
    ROW(CKR_SESSION_EXISTS, REFUSED, TOKEN_BUSY, "a session is open"),
    ROW(CKR_SESSION_READ_ONLY_EXISTS, REFUSED, TOKEN_FAILED, "a read-only session is open"),
    ROW(CKR_SESSION_READ_WRITE_SO_EXISTS, OTHER_USER, TOKEN_BUSY, "the security officer is logged in"),
    ROW(CKR_SIGNATURE_INVALID, REQUEST, TOKEN_FAILED, "signature is invalid"),
    ROW(CKR_SIGNATURE_LEN_RANGE, REQUEST, TOKEN_FAILED, "bad signature length"),
    ROW(CKR_TEMPLATE_INCOMPLETE, ATTRIBUTE, TOKEN_FAILED, "template incomplete"),
    ROW(CKR_TEMPLATE_INCONSISTENT, ATTRIBUTE, TOKEN_FAILED, "template inconsistent"),
    ROW(CKR_TOKEN_NOT_PRESENT, DEVICE, TOKEN_ABSENT, "no token in the slot"),
    ROW(CKR_TOKEN_NOT_RECOGNIZED, DEVICE, TOKEN_ABSENT, "token not recognised"),
    ROW(CKR_TOKEN_WRITE_PROTECTED, REFUSED, TOKEN_FAILED, "token is write-protected"),
    ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID, REQUEST, TOKEN_FAILED, "bad unwrapping key"),
    ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE, REQUEST, TOKEN_FAILED, "bad size of unwrapping key"),
    ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, REQUEST, TOKEN_FAILED, "bad type of unwrapping key"),
    ROW(CKR_USER_ALREADY_LOGGED_IN, DONE, OK, "logged in already"),
    ROW(CKR_USER_NOT_LOGGED_IN, LOGIN, SESSION_LOST, "not logged in"),
    ROW(CKR_USER_PIN_NOT_INITIALIZED, PIN_STATE, PIN_LOCKED, "no user PIN is set"),
    ROW(CKR_USER_TYPE_INVALID, SETTING, TOKEN_FAILED, "no such kind of user"),
    ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, OTHER_USER, TOKEN_BUSY, "another user is logged in"),
    ROW(CKR_USER_TOO_MANY_TYPES, OTHER_USER, TOKEN_BUSY, "too many kinds of user are logged in"),
    ROW(CKR_WRAPPED_KEY_INVALID, REQUEST, TOKEN_FAILED, "bad wrapped key"),
    ROW(CKR_WRAPPED_KEY_LEN_RANGE, REQUEST, TOKEN_FAILED, "bad length of wrapped key"),
    ROW(CKR_WRAPPING_KEY_HANDLE_INVALID, REQUEST, TOKEN_FAILED, "bad wrapping key"),
    ROW(CKR_WRAPPING_KEY_SIZE_RANGE, REQUEST, TOKEN_FAILED, "bad size of wrapping key"),
    ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, REQUEST, TOKEN_FAILED, "bad type of wrapping key"),
    ROW(CKR_RANDOM_SEED_NOT_SUPPORTED, UNSUPPORTED, TOKEN_INCAPABLE, "no seeding"),
    ROW(CKR_RANDOM_NO_RNG, SICK, TOKEN_FAILED, "no random number generator"),
    ROW(CKR_DOMAIN_PARAMS_INVALID, ATTRIBUTE, TOKEN_INCAPABLE, "domain parameters not accepted"),
    ROW(CKR_CURVE_NOT_SUPPORTED, CAPABILITY, TOKEN_INCAPABLE, "curve not supported"),
    ROW(CKR_BUFFER_TOO_SMALL, BUFFER, TOKEN_FAILED, "buffer too small"),
    ROW(CKR_SAVED_STATE_INVALID, REQUEST, TOKEN_FAILED, "bad saved state"),
    ROW(CKR_INFORMATION_SENSITIVE, REFUSED, TOKEN_FAILED, "information is sensitive"),
    ROW(CKR_STATE_UNSAVEABLE, REQUEST, TOKEN_FAILED, "state cannot be saved"),
    ROW(CKR_CRYPTOKI_NOT_INITIALIZED, DEVICE, TOKEN_FAILED, "the module is not initialised"),
    ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED, DONE, OK, "the module is initialised already"),
    ROW(CKR_MUTEX_BAD, REQUEST, TOKEN_FAILED, "bad mutex"),
    ROW(CKR_MUTEX_NOT_LOCKED, REQUEST, TOKEN_FAILED, "mutex not locked"),
    ROW(CKR_NEW_PIN_MODE, PIN_STATE, PIN_LOCKED, "a new PIN must be set"),
    ROW(CKR_NEXT_OTP, PIN_STATE, PIN_LOCKED, "the next one-time password is needed"),
    ROW_AT(0x1b5UL, CKR_EXCEEDED_MAX_ITERATIONS, SICK, TOKEN_FAILED, "too many iterations"),
    ROW_AT(0x1b6UL, CKR_FIPS_SELF_TEST_FAILED, SICK, TOKEN_FAILED, "FIPS self-test failed"),
    ROW_AT(0x1b7UL, CKR_LIBRARY_LOAD_FAILED, SICK, MODULE_UNUSABLE, "the module cannot load a library"),
    ROW_AT(0x1b8UL, CKR_PIN_TOO_WEAK, PIN_WRONG, PIN_REFUSED, "PIN is too weak"),
    ROW_AT(0x1b9UL, CKR_PUBLIC_KEY_INVALID, REQUEST, TOKEN_FAILED, "bad public key"),
    /* The same by an early draft's numbers, which p11-kit's header has and modules built with it answer. */
    ROW_AT(0x1c0UL, CKR_EXCEEDED_MAX_ITERATIONS, SICK, TOKEN_FAILED, "too many iterations"),
    ROW_AT(0x1c1UL, CKR_FIPS_SELF_TEST_FAILED, SICK, TOKEN_FAILED, "FIPS self-test failed"),
    ROW_AT(0x1c2UL, CKR_LIBRARY_LOAD_FAILED, SICK, MODULE_UNUSABLE, "the module cannot load a library"),
    ROW_AT(0x1c3UL, CKR_PIN_TOO_WEAK, PIN_WRONG, PIN_REFUSED, "PIN is too weak"),
    ROW_AT(0x1c4UL, CKR_PUBLIC_KEY_INVALID, REQUEST, TOKEN_FAILED, "bad public key"),
    ROW(CKR_FUNCTION_REJECTED, REFUSED, TOKEN_FAILED, "function rejected"),
    ROW(CKR_TOKEN_RESOURCE_EXCEEDED, CAPACITY, TOKEN_BUSY, "the token's resources are exhausted"),
    ROW(CKR_OPERATION_CANCEL_FAILED, SESSION, SESSION_LOST, "operation could not be cancelled"),
};
const size_t hs_ckr_row_count = HS_ARRAY_LEN(hs_ckr_rows);

static const struct hs_ckr_row vendor_row = {CKR_VENDOR_DEFINED, NULL, HS_CKR_DEVICE, HSMART_TOKEN_FAILED,
                                             "vendor-defined"};
static const struct hs_ckr_row unknown_row = {~0UL, NULL, HS_CKR_DEVICE, HSMART_TOKEN_FAILED, "unknown code"};

const struct hs_ckr_row *
hs_ckr_row_of(CK_RV rv)
{
    for (size_t i = 0; i < hs_ckr_row_count; i++)
        if (hs_ckr_rows[i].rv == rv)
            return &hs_ckr_rows[i];
    return (rv & CKR_VENDOR_DEFINED) != 0 ? &vendor_row : &unknown_row;
}

enum hsmart_code
hs_ckr_set(hsmart_err *err, CK_RV rv)
{
    const struct hs_ckr_row *row = hs_ckr_row_of(rv);
    /* An answer that means success elsewhere is a failure where an error is set. */
    enum hsmart_code code = row->code != HSMART_OK ? row->code : HSMART_TOKEN_FAILED;

    if (row->name != NULL)
        return hs_err_set(err, code, "the token answered %s (%s)", row->name, row->words);
    return hs_err_set(err, code, "the token answered 0x%lx (%s)", rv, row->words);
}
