#include <hsmart/attack.h>

#include "api_objects.h"
#include "key_attack.h"

enum hsmart_code
hsmart_key_attack(const hsmart_key *key, hsmart_attack_report **out_report, hsmart_err *err)
{
    return hs_key_attack(hs_api_token_key(key), out_report, err);
}

void
hsmart_attack_report_free(hsmart_attack_report *report)
{
    hs_p11_attack_report_free(report);
}

const char *
hsmart_attack_outcome_words(enum hsmart_attack_outcome outcome)
{
    static const char *const words[] = {[HSMART_ATTACK_HELD] = "held",
                                        [HSMART_ATTACK_NOT_OFFERED] = "not offered",
                                        [HSMART_ATTACK_WEAKENED] = "weakened",
                                        [HSMART_ATTACK_BROKEN] = "broken"};

    return (size_t)outcome < HS_ARRAY_LEN(words) ? words[outcome] : "unknown";
}
