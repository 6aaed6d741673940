# What is built, and how: layers, the library made of them, and the tools.
#
#   hs_layer(NAME USES layers… NEEDS libraries…)   the sources of src/NAME as one static library that sees only its own
#                                                  headers, the public ones and those of the layers it uses. An upward
#                                                  include is "No such file".
#   hs_library(LAYERS … NEEDS … PKG_CONFIG …)      libhsmart.so and libhsmart.a out of the layers' objects, installed,
#                                                  with hsmart.pc and a CMake package
#   hs_tool(NAME USES … NEEDS … EMBEDS files…)     the command in tools/NAME; USES further layers that it sees, EMBEDS files
#                                                  of its folder that are built in: FILE as a struct hs_span embedded_FILE
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)
include(CMakePackageConfigHelpers)

set(HSMART_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize= (address,undefined or thread)")
option(HSMART_COVERAGE "Measure which lines the tests reach (gcov)" OFF)

# ---- Warnings, hardening, instruments ----

add_library(hs_warnings INTERFACE)
target_compile_options(hs_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
                                             -Wmissing-prototypes -Wformat=2 -Wvla)

check_pie_supported(LANGUAGES C)
set(HSMART_HARDENING) # the flags that this compiler takes; tests hold the binaries against them
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "HSMART_HAVE${flag}" have)
  set(CMAKE_REQUIRED_FLAGS -Werror)
  check_c_compiler_flag(${flag} ${have})
  if(${have})
    list(APPEND HSMART_HARDENING ${flag})
  endif()
endforeach()
# Level 3 also bounds buffers whose size is known only at run time. A compiler or libc without it warns.
set(CMAKE_REQUIRED_FLAGS "-Werror -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" HSMART_HAVE_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
if(HSMART_HAVE_FORTIFY_3)
  set(fortify 3)
else()
  set(fortify 2)
endif()

add_library(hs_hardening INTERFACE)
target_compile_options(hs_hardening INTERFACE ${HSMART_HARDENING})
if(NOT HSMART_SANITIZE) # the sanitizers' own checks of the same calls say more
  target_compile_options(hs_hardening INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=${fortify}>)
endif()
# Each function in a section of its own, so that a program holds only what it can reach.
add_compile_options(-ffunction-sections -fdata-sections)
foreach(flag -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
  string(MAKE_C_IDENTIFIER "HSMART_HAVE${flag}" have)
  check_linker_flag(C ${flag} ${have})
  if(${have})
    # --as-needed holds for the libraries that follow it, so it has to come early.
    add_link_options(${flag})
  endif()
endforeach()

if(HSMART_SANITIZE)
  add_compile_options(-fsanitize=${HSMART_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HSMART_SANITIZE})
  if(HSMART_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(HSMART_COVERAGE)
  add_compile_definitions(HSMART_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic) # counters of threads would lose counts, and wrap
  add_link_options(--coverage)
endif()

# ---- Layers ----

configure_file(${PROJECT_SOURCE_DIR}/include/hsmart/version.h.in ${PROJECT_BINARY_DIR}/include/hsmart/version.h @ONLY)

function(hs_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES;NEEDS")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
  if(NOT sources) # a layer that has headers only
    file(WRITE ${PROJECT_BINARY_DIR}/empty_${name}.c "typedef int hs_nothing;\n")
    set(sources ${PROJECT_BINARY_DIR}/empty_${name}.c)
  endif()
  list(TRANSFORM arg_USES PREPEND hs_)
  add_library(hs_${name} STATIC ${sources})
  target_compile_definitions(hs_${name} PUBLIC _POSIX_C_SOURCE=200809L)
  target_include_directories(hs_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/src/${name})
  target_link_libraries(hs_${name} PUBLIC ${arg_USES} ${arg_NEEDS} PRIVATE hs_warnings hs_hardening)
endfunction()

# ---- The library ----

function(hs_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "LAYERS;NEEDS;PKG_CONFIG")
  set(objects)
  foreach(layer IN LISTS arg_LAYERS)
    list(APPEND objects $<TARGET_OBJECTS:hs_${layer}>)
  endforeach()
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/hsmart/*.h)

  # The soname holds the minor version too until 1.0: before that, each minor version may change the ABI.
  add_library(libhsmart SHARED ${objects})
  set_target_properties(libhsmart PROPERTIES OUTPUT_NAME hsmart EXPORT_NAME hsmart VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINKER_LANGUAGE C
                        VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(libhsmart PRIVATE ${arg_NEEDS})
  if(NOT HSMART_SANITIZE) # a sanitizer's runtime is in the program, not in the library
    target_link_options(libhsmart PRIVATE -Wl,-z,defs)
  endif()

  add_library(libhsmart_static STATIC ${objects})
  set_target_properties(libhsmart_static PROPERTIES OUTPUT_NAME hsmart EXPORT_NAME static LINKER_LANGUAGE C)

  foreach(library libhsmart libhsmart_static)
    target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
  endforeach()
  target_sources(libhsmart PUBLIC FILE_SET HEADERS
                 BASE_DIRS ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
                 FILES ${headers} ${PROJECT_BINARY_DIR}/include/hsmart/version.h)
  target_include_directories(libhsmart_static INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

  # find_package(hsmart): hsmart::hsmart, and with COMPONENTS static also hsmart::static.
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hsmart)
  install(TARGETS libhsmart EXPORT hsmart-targets FILE_SET HEADERS)
  install(TARGETS libhsmart_static EXPORT hsmart-static-targets)
  install(EXPORT hsmart-targets NAMESPACE hsmart:: DESTINATION ${package_dir})
  install(EXPORT hsmart-static-targets NAMESPACE hsmart:: DESTINATION ${package_dir})
  list(JOIN arg_PKG_CONFIG " " HSMART_PKG_CONFIG)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/src/hsmart-config.cmake.in
                                ${PROJECT_BINARY_DIR}/hsmart-config.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/hsmart-config-version.cmake
                                   COMPATIBILITY SameMinorVersion)
  configure_file(${PROJECT_SOURCE_DIR}/src/hsmart.pc.in ${PROJECT_BINARY_DIR}/hsmart.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/hsmart-config.cmake ${PROJECT_BINARY_DIR}/hsmart-config-version.cmake
          DESTINATION ${package_dir})
  install(FILES ${PROJECT_BINARY_DIR}/hsmart.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# ---- Tools ----

# What a tool sees of the library: the public API and the layers that are about words and files. What it links is more.
add_library(hs_tool_view INTERFACE)
target_compile_definitions(hs_tool_view INTERFACE _POSIX_C_SOURCE=200809L)
target_include_directories(hs_tool_view INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include ${PROJECT_SOURCE_DIR}/src/base
  ${PROJECT_SOURCE_DIR}/src/codec ${PROJECT_SOURCE_DIR}/src/config ${PROJECT_SOURCE_DIR}/src/rules
  ${PROJECT_SOURCE_DIR}/src/ceremony ${PROJECT_SOURCE_DIR}/src/net ${PROJECT_SOURCE_DIR}/tools/common)
target_link_libraries(hs_tool_view INTERFACE $<LINK_ONLY:hs_api> $<LINK_ONLY:hs_config> $<LINK_ONLY:hs_rules>
  $<LINK_ONLY:hs_ceremony>)

file(GLOB common_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/common/*.c)
add_library(hs_tool_common STATIC ${common_sources})
target_link_libraries(hs_tool_common PUBLIC hs_tool_view PRIVATE hs_warnings hs_hardening)

# Makes out_c, a C source that holds the bytes of `file`.
function(hs_embed file out_c)
  cmake_path(GET file FILENAME name)
  string(MAKE_C_IDENTIFIER "embedded_${name}" identifier)
  set(source ${PROJECT_BINARY_DIR}/${identifier}.c)
  add_custom_command(OUTPUT ${source} DEPENDS ${file} ${PROJECT_SOURCE_DIR}/src/embed.cmake
    COMMAND ${CMAKE_COMMAND} -DFILE=${file} -DIDENTIFIER=${identifier} -DSOURCE=${source}
            -P ${PROJECT_SOURCE_DIR}/src/embed.cmake VERBATIM)
  set(${out_c} ${source} PARENT_SCOPE)
endfunction()

function(hs_tool name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES;NEEDS;EMBEDS")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/${name}/*.c)
  foreach(file IN LISTS arg_EMBEDS)
    hs_embed(${PROJECT_SOURCE_DIR}/tools/${name}/${file} embedded)
    list(APPEND sources ${embedded})
  endforeach()
  # "hsmart" alone would be taken for the library; the file has the plain name.
  add_executable(tool_${name} ${sources})
  set_target_properties(tool_${name} PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_include_directories(tool_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tools/${name})
  list(TRANSFORM arg_USES PREPEND hs_)
  target_link_libraries(tool_${name} PRIVATE hs_tool_common ${arg_USES} ${arg_NEEDS} hs_warnings hs_hardening)
  # First of all libraries: the loader looks each of its thousands of symbols up in every library before it.
  target_link_options(tool_${name} PRIVATE LINKER:--push-state,--no-as-needed $<TARGET_FILE:OpenSSL::Crypto>
                                           LINKER:--pop-state)
  install(TARGETS tool_${name})

  # Completion, as the program itself prints it from its tables.
  if(NOT CMAKE_CROSSCOMPILING)
    set(completion ${PROJECT_BINARY_DIR}/completion)
    foreach(place bash=${name}=bash-completion/completions zsh=_${name}=zsh/site-functions
                  fish=${name}.fish=fish/vendor_completions.d)
      string(REGEX MATCH "^(.*)=(.*)=(.*)$" place ${place})
      set(shell ${CMAKE_MATCH_1})
      set(file ${CMAKE_MATCH_2})
      set(directory ${CMAKE_MATCH_3})
      add_custom_command(TARGET tool_${name} POST_BUILD VERBATIM
                         COMMAND ${CMAKE_COMMAND} -E make_directory ${completion}/${shell}
                         COMMAND sh -c "\"$1\" --completion \"$2\" >\"$3\"" sh $<TARGET_FILE:tool_${name}> ${shell}
                                 ${completion}/${shell}/${file})
      install(FILES ${completion}/${shell}/${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/${directory})
    endforeach()
  endif()
endfunction()
