# hs_layer(NAME USES layers… NEEDS libraries…): the sources of src/NAME as one static library that sees only its own
# headers, the public ones and those of the layers it uses. An upward include is "No such file".
configure_file(${PROJECT_SOURCE_DIR}/include/hsmart/version.h.in ${PROJECT_BINARY_DIR}/include/hsmart/version.h @ONLY)

add_library(hs_warnings INTERFACE)
target_compile_options(hs_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
                                             -Wmissing-prototypes -Wformat=2 -Wvla)

function(hs_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES;NEEDS")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
  if(NOT sources) # while the layers are being written
    file(WRITE ${PROJECT_BINARY_DIR}/empty_${name}.c "typedef int hs_nothing;\n")
    set(sources ${PROJECT_BINARY_DIR}/empty_${name}.c)
  endif()
  list(TRANSFORM arg_USES PREPEND hs_)
  add_library(hs_${name} STATIC ${sources})
  set_target_properties(hs_${name} PROPERTIES LINKER_LANGUAGE C)
  target_compile_definitions(hs_${name} PUBLIC _POSIX_C_SOURCE=200809L)
  target_include_directories(hs_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/src/${name})
  target_link_libraries(hs_${name} PUBLIC ${arg_USES} ${arg_NEEDS} PRIVATE hs_warnings)
endfunction()
