# cmake -DFILE=… -DIDENTIFIER=… -DSOURCE=… -P embed.cmake: writes SOURCE, which holds the bytes of FILE as `IDENTIFIER`.
file(READ ${FILE} hex HEX)
string(LENGTH "${hex}" length)
math(EXPR length "${length} / 2")
string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${SOURCE} "#include \"bytes.h\"
extern const struct hs_span ${IDENTIFIER};
static const uint8_t bytes[] = {
${hex}};
const struct hs_span ${IDENTIFIER} = {bytes, ${length}};
")
