/* The fault module from within the process that loaded it. A test finds these functions by dlsym: the module is loaded
 * once per path, so what the test sees is what hsmart uses. */
#ifndef HS_FAULT_H
#define HS_FAULT_H

#define HS_FAULT_API __attribute__((visibility("default")))

/* Replaces the rules and starts counting anew; lines end with a line end or ";". From now on no file is read. */
HS_FAULT_API void hs_fault_set_rules(const char *text);
/* How often a function was called since the rules were set. */
HS_FAULT_API unsigned long hs_fault_count_calls(const char *function);
/* Sessions that are open on the real module now. */
HS_FAULT_API long hs_fault_open_sessions(void);

#endif
