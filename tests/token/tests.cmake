# The same list of tests on every real token; each sets its own up.
add_executable(test_matrix ${CMAKE_CURRENT_SOURCE_DIR}/token/test_matrix.c)
target_link_libraries(test_matrix PRIVATE hs_api PkgConfig::CMOCKA hs_warnings)
foreach(token softhsm2 nss opencryptoki tpm2 p11kit-server p11kit-proxy spy)
  hs_script_test(matrix ${token} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/token/matrix $<TARGET_FILE:test_matrix> ${token})
endforeach()

# One-shot processes that start together on one SoftHSM2 token: tests/token/one_shots.c.
add_executable(one_shots ${CMAKE_CURRENT_SOURCE_DIR}/token/one_shots.c)
target_link_libraries(one_shots PRIVATE hs_test_support hs_pkcs11 hs_base PkgConfig::CMOCKA hs_warnings)
hs_script_test(token one_shots COMMAND one_shots 8 10 hsmart)
hs_script_test(token one_shots_renamed COMMAND one_shots 8 10 renamed)
