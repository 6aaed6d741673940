hs_unit_test(p11_guard USES pkcs11)
