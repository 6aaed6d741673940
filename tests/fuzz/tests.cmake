# Fuzz targets: one for each parser that a stranger can feed. In the "fuzz" build they run under libFuzzer for
# HSMART_FUZZ_SECONDS each; in every other build each input of the corpus is replayed, so that what was found once stays
# mended.
set(HSMART_FUZZ_SECONDS 60 CACHE STRING "Seconds that each fuzz target runs in the fuzz build")
set(HSMART_FUZZ_SEED 0 CACHE STRING "libFuzzer's seed; 0: another one in each run")

add_custom_target(fuzz_targets)

# hs_fuzz_target(PARSER USES layers…): tests/fuzz/fuzz_PARSER.c with its seeds in tests/fuzz/corpus/PARSER.
function(hs_fuzz_target parser)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES")
  list(TRANSFORM arg_USES PREPEND hs_)
  set(directory ${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
  set(corpus ${directory}/corpus/${parser})
  add_executable(fuzz_${parser} ${directory}/fuzz_${parser}.c)
  target_include_directories(fuzz_${parser} PRIVATE ${directory})
  target_link_libraries(fuzz_${parser} PRIVATE ${arg_USES} hs_warnings)
  add_dependencies(fuzz_targets fuzz_${parser})
  if(HSMART_SANITIZE MATCHES fuzzer)
    target_link_options(fuzz_${parser} PRIVATE -fsanitize=fuzzer)
    # What is found new stays in the build directory; the committed corpus is only read.
    math(EXPR timeout "${HSMART_FUZZ_SECONDS} * 2 + 120")
    add_test(NAME fuzz.${parser}
             COMMAND ${directory}/fuzz-one $<TARGET_FILE:fuzz_${parser}> ${corpus} ${PROJECT_BINARY_DIR}/fuzz/${parser}
                     ${HSMART_FUZZ_SECONDS} ${HSMART_FUZZ_SEED})
  else()
    target_sources(fuzz_${parser} PRIVATE ${directory}/replay.c)
    set(timeout 120)
    add_test(NAME fuzz.${parser} COMMAND fuzz_${parser} ${corpus})
  endif()
  set_tests_properties(fuzz.${parser} PROPERTIES LABELS fuzz ENVIRONMENT "${test_environment}" TIMEOUT ${timeout})
endfunction()

hs_fuzz_target(base64url USES codec base)
hs_fuzz_target(json USES codec base)
hs_fuzz_target(form USES codec base)
hs_fuzz_target(jwk USES jose codec base)
hs_fuzz_target(jws USES jose codec base)
hs_fuzz_target(key_der USES pkcs11 jose codec base)
hs_fuzz_target(http_headers USES net codec base)
hs_fuzz_target(http_url USES net codec base)
hs_fuzz_target(discovery USES smart)
hs_fuzz_target(server_answer USES smart)
hs_fuzz_target(registration USES smart)
hs_fuzz_target(p11_uri USES pkcs11 base)
hs_fuzz_target(config USES config codec base)
hs_fuzz_target(check USES rules jose codec base)
hs_fuzz_target(plan USES ceremony)
hs_fuzz_target(record USES ceremony)
