hs_unit_test(p11_guard USES pkcs11)
hs_unit_test(p11_circuit USES pkcs11)
