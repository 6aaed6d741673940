# The same list of tests on every real token; each sets its own up.
add_executable(test_matrix ${CMAKE_CURRENT_SOURCE_DIR}/token/test_matrix.c)
target_link_libraries(test_matrix PRIVATE hs_api PkgConfig::CMOCKA hs_warnings)
foreach(token softhsm2 nss opencryptoki tpm2 p11kit-server p11kit-proxy spy)
  hs_script_test(matrix ${token} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/token/matrix $<TARGET_FILE:test_matrix> ${token}
                                         RS384 ES384)
endforeach()

# Servers and devices that die, freeze and come back.
add_executable(test_outages ${CMAKE_CURRENT_SOURCE_DIR}/token/test_outages.c)
target_link_libraries(test_outages PRIVATE hs_api PkgConfig::CMOCKA hs_warnings)
foreach(token p11kit-server tpm2)
  hs_script_test(outages ${token} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/token/matrix $<TARGET_FILE:test_outages> ${token})
endforeach()

# A wrong PIN, and 50 starts with it, on tokens that lock after three.
foreach(token softhsm2 opencryptoki tpm2)
  hs_script_test(wrong-pin ${token} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/token/matrix
                                            ${CMAKE_CURRENT_SOURCE_DIR}/token/wrong-pin ${token})
endforeach()
set_property(TEST wrong-pin.tpm2 APPEND PROPERTY ENVIRONMENT P11_TPM_MAXTRIES=3)

# One-shot processes that start together on one SoftHSM2 token: tests/token/one_shots.c.
add_executable(one_shots ${CMAKE_CURRENT_SOURCE_DIR}/token/one_shots.c)
target_link_libraries(one_shots PRIVATE hs_test_support hs_pkcs11 hs_base PkgConfig::CMOCKA hs_warnings)
hs_script_test(token one_shots COMMAND one_shots 8 100 hsmart)
hs_script_test(token one_shots_renamed COMMAND one_shots 8 10 renamed)

# Faults, injected into a real token.
add_library(hs_fault_token STATIC ${CMAKE_CURRENT_SOURCE_DIR}/token/fault_token.c)
target_include_directories(hs_fault_token PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/token
                                                 PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/fault)
target_compile_definitions(hs_fault_token PUBLIC HSMART_FAULT="$<TARGET_FILE:hsmart_fault>")
target_link_libraries(hs_fault_token PUBLIC hs_api hs_test_support PkgConfig::CMOCKA PRIVATE hs_warnings)
add_dependencies(hs_fault_token hsmart_fault)

# hs_fault_program(NAME): tests/token/test_NAME.c on such a token.
function(hs_fault_program name)
  add_executable(test_${name} ${CMAKE_CURRENT_SOURCE_DIR}/token/test_${name}.c)
  target_link_libraries(test_${name} PRIVATE hs_fault_token hs_warnings)
endfunction()

hs_fault_program(certificate)
hs_script_test(token certificate COMMAND test_certificate)
hs_fault_program(fault_codes)
foreach(operation sign find open)
  hs_script_test(token fault-codes-${operation} COMMAND test_fault_codes ${operation})
endforeach()
hs_fault_program(faults)
foreach(part 0 1 2 3)
  hs_script_test(token faults-${part} COMMAND test_faults --part ${part} 4)
endforeach()

hs_fault_program(same_label)
hs_script_test(token same-label COMMAND test_same_label)
hs_fault_program(hostile)
hs_script_test(token hostile COMMAND test_hostile)
hs_fault_program(token_no_memory)
hs_failing_malloc(token_no_memory)
hs_script_test(token no-memory COMMAND test_token_no_memory)

# Many threads; under ThreadSanitizer, too.
hs_fault_program(concurrency)
hs_script_test(token concurrency COMMAND test_concurrency --not "*soak*")
hs_script_test(token soak COMMAND test_concurrency "*soak*")
if(HSMART_SANITIZE) # which slow it down: shorter, and it is run by several of them
  set_property(TEST token.concurrency APPEND PROPERTY ENVIRONMENT HSMART_ROUNDS=100)
  set_property(TEST token.soak APPEND PROPERTY ENVIRONMENT HSMART_SOAK_S=15)
endif()

# Keys that vanish, keys that are adopted, and destroying.
add_executable(test_ceremony_keys ${CMAKE_CURRENT_SOURCE_DIR}/token/test_ceremony_keys.c)
target_link_libraries(test_ceremony_keys PRIVATE hs_test_support hs_keys PkgConfig::CMOCKA hs_warnings)
hs_script_test(token ceremony-keys COMMAND test_ceremony_keys)

# Published keys and examples, on a token.
add_executable(test_published ${CMAKE_CURRENT_SOURCE_DIR}/token/test_published.c
                              ${CMAKE_CURRENT_SOURCE_DIR}/support/vectors.c)
target_link_libraries(test_published PRIVATE hs_test_support hs_api hs_smart PkgConfig::CMOCKA hs_warnings)
hs_script_test(token published COMMAND test_published)

# A key ceremony on every real token.
if(TARGET tool_hsmart-key)
  foreach(token softhsm2 nss opencryptoki tpm2 p11kit-server p11kit-proxy spy)
    hs_script_test(ceremony ${token} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/token/ceremony ${token})
  endforeach()
endif()

hs_cmocka_test(token family USES api smart keys test_support pkcs11 jose codec base)
