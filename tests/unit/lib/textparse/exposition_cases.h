#ifndef NARTHEX_TESTS_UNIT_LIB_TEXTPARSE_EXPOSITION_CASES_H_
#define NARTHEX_TESTS_UNIT_LIB_TEXTPARSE_EXPOSITION_CASES_H_

#include <string>

namespace narthex::textparse {

// Odd expositions and what becomes of them. Compared with the parser of Prometheus 3.5, which gives
// the same entries and the same errors except where README.md of lib/textparse names a difference.
struct ExpositionCase {
  std::string body;
  // A series as "text = value @ timestamp" and its labels in the next line.
  std::string entries;
};

// clang-format off
inline const ExpositionCase kExpositionCases[] = {
    {" a 1\nb 2",
     "a = 1\n"
     "  {__name__=\"a\"}\n"
     "b = 2\n"
     "  {__name__=\"b\"}\n"},
    {"\t{\"a b\",x=\"y\"} 1",
     "{\"a b\",x=\"y\"} = 1\n"
     "  {__name__=\"a b\", x=\"y\"}\n"},
    {"a{b,c=\"d\"} 1",
     "error: expected equal, got \",c\" (\"COMMA\") while parsing: \"a{b,c\"\n"},
    {"{ab,c=\"d\"} 1",
     "error: expected equal, got \",c\" (\"COMMA\") while parsing: \"{ab,c\"\n"},
    {"{ab} 1",
     "error: expected equal, got \"} \" (\"BCLOSE\") while parsing: \"{ab} \"\n"},
    {"{} 1",
     "error: metric name not set while parsing: \"{} 1\"\n"},
    {"a{} 1",
     "a{} = 1\n"
     "  {__name__=\"a\"}\n"},
    {"a{,} 1",
     "error: expected label name, got \",}\" (\"COMMA\") while parsing: \"a{,}\"\n"},
    {"a{b=\"c\",,} 1",
     "error: expected label name, got \",}\" (\"COMMA\") while parsing: \"a{b=\\\"c\\\",,}\"\n"},
    {"a{b=\"c\" d=\"e\"} 1",
     "a{b=\"c\" d=\"e\"} = 1\n"
     "  {__name__=\"a\", b=\"c\", d=\"e\"}\n"},
    {"a{b=\"c\"}1",
     "a{b=\"c\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"a{b=\"c\"} 1 2 3",
     "error: expected next entry after timestamp, got \"3\\n\" (\"TIMESTAMP\") while parsing: \"a{b=\\\"c\\\"} 1 2 3\\n\"\n"},
    {"a{b=\"c\nd\"} 1",
     "a{b=\"c\n"
     "d\"} = 1\n"
     "  {__name__=\"a\", b=\"c\\nd\"}\n"},
    {"a{b=\"c\\\nd\"} 1",
     "error: expected label value, got \"\\\"c\\\\\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\\\\n\"\n"},
    {"a{b=\"\\x\\\"\\\\\\n\"} 1",
     "a{b=\"\\x\\\"\\\\\\n\"} = 1\n"
     "  {__name__=\"a\", b=\"\\\\x\\\"\\\\\\n\"}\n"},
    {"# HELP a  b ",
     "HELP a| b |\n"},
    {"# HELP a    ",
     "HELP a||\n"},
    {"# HELP a",
     "HELP a||\n"},
    {"# HELP a!b",
     "HELP a|b|\n"},
    {"# HELP \"a b\" c\\n\\\\n\\q",
     "HELP a b|c\n"
     "\\n\\q|\n"},
    {"# TYPE a  counter",
     "error: invalid metric type \" counter\"\n"},
    {"# TYPE a counter ",
     "error: invalid metric type \"counter \"\n"},
    {"# TYPE a\tcounter",
     "TYPE a|counter\n"},
    {"# TYPE a",
     "error: invalid metric type \"\"\n"},
    {"# HELP \na 1",
     "error: expected metric name after HELP, got \"\\n\" (\"INVALID\") while parsing: \"# HELP \\n\"\n"},
    {"# HELP",
     ""},
    {"# HELPx y\na 1",
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {"# \t HELP a b",
     "HELP a|b|\n"},
    {"#HELP a b",
     ""},
    {std::string("a\0001\nb 2", 7),
     "error: expected value after metric, got \"\\x00\" (\"INVALID\") while parsing: \"a\\x00\"\n"},
    {std::string("a 1\n\000b 2", 8),
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {std::string("a 1\n # HELP\000 2\nb 1", 18),
     "a = 1\n"
     "  {__name__=\"a\"}\n"
     "error: expected metric name after HELP, got \"2\" (\"INVALID\") while parsing: \" # HELP\\x00 2\"\n"},
    {std::string("# HELP a b\000c\nb 1", 16),
     std::string("HELP a|b\000c|\n"
     "b = 1\n"
     "  {__name__=\"b\"}\n", 35)},
    {std::string("# a\000c\nb 1", 9),
     "b = 1\n"
     "  {__name__=\"b\"}\n"},
    {std::string("a{b=\"c\000d\"} 1", 12),
     std::string("a{b=\"c\000d\"} = 1\n"
     "  {__name__=\"a\", b=\"c\\x00d\"}\n", 44)},
    {std::string("a 1\0002\n", 6),
     "error: expected timestamp or new record, got \"\\x00\" (\"INVALID\") while parsing: \"a 1\\x00\"\n"},
    {std::string("a 1 2\000\n", 7),
     "error: expected next entry after timestamp, got \"\\x00\" (\"INVALID\") while parsing: \"a 1 2\\x00\"\n"},
    {"a\n",
     "error: expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"\n"},
    {"a 1 -5",
     "error: expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"a 1 -\"\n"},
    {"a 1 12ab",
     "error: expected next entry after timestamp, got \"a\" (\"INVALID\") while parsing: \"a 1 12a\"\n"},
    {"a 1 99999999999999999999",
     "error: strconv.ParseInt: parsing \"99999999999999999999\": value out of range while parsing: \"a 1 99999999999999999999\"\n"},
    {"a 1 9223372036854775807",
     "a = 1 @ 9223372036854775807\n"
     "  {__name__=\"a\"}\n"},
    {"a 1 9223372036854775808",
     "error: strconv.ParseInt: parsing \"9223372036854775808\": value out of range while parsing: \"a 1 9223372036854775808\"\n"},
    {"a 1\r\n",
     "error: strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\"\n"},
    {"\r\n",
     "error: expected a valid start token, got \"\\r\" (\"INVALID\") while parsing: \"\\r\"\n"},
    {"a 1 5\r\n",
     "error: expected next entry after timestamp, got \"\\r\" (\"INVALID\") while parsing: \"a 1 5\\r\"\n"},
    {"# TYPE a counter\r\n",
     "error: invalid metric type \"counter\\r\"\n"},
    {"# HELP a b\r\n",
     "HELP a|b\r|\n"},
    {"# hello\r\na 1",
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {"a 0x10",
     "error: strconv.ParseFloat: parsing \"0x10\": invalid syntax while parsing: \"a 0x10\"\n"},
    {"a 0x1p3",
     "error: unsupported character in float while parsing: \"a 0x1p3\"\n"},
    {"a 1_0",
     "error: unsupported character in float while parsing: \"a 1_0\"\n"},
    {"a 1e999",
     "error: strconv.ParseFloat: parsing \"1e999\": value out of range while parsing: \"a 1e999\"\n"},
    {"a -1e-999",
     "a = -0\n"
     "  {__name__=\"a\"}\n"},
    {"a +nan",
     "error: strconv.ParseFloat: parsing \"+nan\": invalid syntax while parsing: \"a +nan\"\n"},
    {"a NaN\na nan\na inf\na +InFinity\na -Inf\na infin",
     "a = NaN\n"
     "  {__name__=\"a\"}\n"
     "a = NaN\n"
     "  {__name__=\"a\"}\n"
     "a = +Inf\n"
     "  {__name__=\"a\"}\n"
     "a = +Inf\n"
     "  {__name__=\"a\"}\n"
     "a = -Inf\n"
     "  {__name__=\"a\"}\n"
     "error: strconv.ParseFloat: parsing \"infin\": invalid syntax while parsing: \"a infin\"\n"},
    {"a .5\na 5.\na .",
     "a = 0.5\n"
     "  {__name__=\"a\"}\n"
     "a = 5\n"
     "  {__name__=\"a\"}\n"
     "error: strconv.ParseFloat: parsing \".\": invalid syntax while parsing: \"a .\"\n"},
    {"a 1#",
     "error: strconv.ParseFloat: parsing \"1#\": invalid syntax while parsing: \"a 1#\"\n"},
    {"a{b=\"\377\"} 1",
     "error: invalid UTF-8 label value: \"\\\"\\xff\\\"\"\n"},
    {"{\"a\377\",b=\"x\"} 1",
     "{\"a\377\",b=\"x\"} = 1\n"
     "  {__name__=\"a\\xff\", b=\"x\"}\n"},
    {"# HELP a \377",
     "error: help text \"\\xff\" is not a valid utf8 string\n"},
    {"a{b=\"x\",b=\"y\"} 1",
     "a{b=\"x\",b=\"y\"} = 1\n"
     "  label name \"b\" is not unique: invalid sample\n"},
    {"a{\"__name__\"=\"y\"} 1",
     "a{\"__name__\"=\"y\"} = 1\n"
     "  label name \"__name__\" is not unique: invalid sample\n"},
    {"{\"a\",\"b\"} 1",
     "error: metric name already set while parsing: \"{\\\"a\\\",\\\"b\\\"}\"\n"},
    {"{\"a\",b=\"c\",\"d\"} 1",
     "error: metric name already set while parsing: \"{\\\"a\\\",b=\\\"c\\\",\\\"d\\\"}\"\n"},
    {"{b=\"c\"} 1",
     "error: metric name not set while parsing: \"{b=\\\"c\\\"} 1\"\n"},
    {"{b=\"c\",\"a\"} 1",
     "{b=\"c\",\"a\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"a{\"b\"=\"c\"} 1",
     "a{\"b\"=\"c\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"{\"a\\\"b\"} 1",
     "{\"a\\\"b\"} = 1\n"
     "  {__name__=\"a\\\"b\"}\n"},
    {"a {b=\"c\"} 1",
     "a {b=\"c\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"a{b=\"c\"}{d=\"e\"} 1",
     "error: expected value after metric, got \"{d\" (\"BOPEN\") while parsing: \"a{b=\\\"c\\\"}{d\"\n"},
    {"a{ b = \"c\" , } 1",
     "a{ b = \"c\" , } = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"1a 1",
     "error: expected a valid start token, got \"1\" (\"INVALID\") while parsing: \"1\"\n"},
    {"a-b 1",
     "error: strconv.ParseFloat: parsing \"-b\": invalid syntax while parsing: \"a-b\"\n"},
    {"a{1b=\"c\"} 1",
     "error: expected label name, got \"1\" (\"INVALID\") while parsing: \"a{1\"\n"},
    {"a{b:c=\"d\"} 1",
     "error: expected equal, got \":\" (\"INVALID\") while parsing: \"a{b:\"\n"},
    {"a{b=c} 1",
     "error: expected label value, got \"c\" (\"INVALID\") while parsing: \"a{b=c\"\n"},
    {"a{b=\"c} 1\nb 1\n",
     "error: expected label value, got \"\\\"c} 1\\nb 1\\n\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c} 1\\nb 1\\n\\n\"\n"},
    {"a{b=\"c\"\n} 1",
     "error: expected label name, got \"\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\"\\n\"\n"},
    {"a{b=\"c\"",
     "error: expected label name, got \"\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\"\\n\"\n"},
    {"a",
     "error: expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"\n"},
    {"a 1 ",
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {"a 1 2 ",
     "a = 1 @ 2\n"
     "  {__name__=\"a\"}\n"},
    {"  \n\n a 1",
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {"",
     ""},
    {"\n",
     ""},
    {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"x\"} 1\nh{quantile=\"1\"} 1\n# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"0.5\",le=\"1\"} 1\ns{quantile=\"1e-10\"} 1\ns{quantile=\"nan\"} 1\ns{quantile=\"-0\"} 1\ns{quantile=\"1e21\"} 1\ns{quantile=\"-inf\"} 1\n",
     "TYPE h|histogram\n"
     "h_bucket{le=\"1\"} = 1\n"
     "  {__name__=\"h_bucket\", le=\"1.0\"}\n"
     "h_bucket{le=\"1e6\"} = 1\n"
     "  {__name__=\"h_bucket\", le=\"1e+06\"}\n"
     "h_bucket{le=\"+Inf\"} = 2\n"
     "  {__name__=\"h_bucket\", le=\"+Inf\"}\n"
     "h_bucket{le=\"x\"} = 1\n"
     "  {__name__=\"h_bucket\", le=\"x\"}\n"
     "h{quantile=\"1\"} = 1\n"
     "  {__name__=\"h\", quantile=\"1\"}\n"
     "TYPE s|summary\n"
     "s{quantile=\"1\"} = 1\n"
     "  {__name__=\"s\", quantile=\"1.0\"}\n"
     "s{quantile=\"0.5\",le=\"1\"} = 1\n"
     "  {__name__=\"s\", le=\"1\", quantile=\"0.5\"}\n"
     "s{quantile=\"1e-10\"} = 1\n"
     "  {__name__=\"s\", quantile=\"1e-10\"}\n"
     "s{quantile=\"nan\"} = 1\n"
     "  {__name__=\"s\", quantile=\"NaN\"}\n"
     "s{quantile=\"-0\"} = 1\n"
     "  {__name__=\"s\", quantile=\"0.0\"}\n"
     "s{quantile=\"1e21\"} = 1\n"
     "  {__name__=\"s\", quantile=\"1e+21\"}\n"
     "s{quantile=\"-inf\"} = 1\n"
     "  {__name__=\"s\", quantile=\"-Inf\"}\n"},
    {"# TYPE a unknown",
     "error: invalid metric type \"unknown\"\n"},
    {"# TYPE a untyped\n# TYPE a gauge\n# TYPE a summary\n",
     "TYPE a|unknown\n"
     "TYPE a|gauge\n"
     "TYPE a|summary\n"},
    {"# TYPE 1a gauge",
     "error: expected metric name after TYPE, got \"1\" (\"INVALID\") while parsing: \"# TYPE 1\"\n"},
    {"# TYPE \"a gauge",
     "error: expected metric name after TYPE, got \"\\\"a gauge\\n\" (\"INVALID\") while parsing: \"# TYPE \\\"a gauge\\n\"\n"},
    {"# UNIT a b",
     ""},
    {"a{b=\"\"} 1",
     "a{b=\"\"} = 1\n"
     "  {__name__=\"a\"}\n"},
    {"{\"a\"} 1",
     "{\"a\"} = 1\n"
     "  {__name__=\"a\"}\n"},
    {"{\"a\",} 1",
     "{\"a\",} = 1\n"
     "  {__name__=\"a\"}\n"},
    {"{\"a\" ,b=\"c\"} 1",
     "{\"a\" ,b=\"c\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"a{\"b c\"=\"d\",} 5 6",
     "a{\"b c\"=\"d\",} = 5 @ 6\n"
     "  {__name__=\"a\", \"b c\"=\"d\"}\n"},
    {"a 4.9e-324\na 2.2250738585072014e-308\na 1e-310\na 1.7976931348623157e308\na 0.000000000000000000000000000000000000000000001e-300\na 1797693134862315700000e290",
     "a = 5e-324\n"
     "  {__name__=\"a\"}\n"
     "a = 2.2250738585072014e-308\n"
     "  {__name__=\"a\"}\n"
     "a = 1e-310\n"
     "  {__name__=\"a\"}\n"
     "a = 1.7976931348623157e+308\n"
     "  {__name__=\"a\"}\n"
     "a = 0\n"
     "  {__name__=\"a\"}\n"
     "error: strconv.ParseFloat: parsing \"1797693134862315700000e290\": value out of range while parsing: \"a 1797693134862315700000e290\"\n"},
    {"a 1.7976931348623159e308",
     "error: strconv.ParseFloat: parsing \"1.7976931348623159e308\": value out of range while parsing: \"a 1.7976931348623159e308\"\n"},
    {"a 1e400000000000000000000\n",
     "error: strconv.ParseFloat: parsing \"1e400000000000000000000\": value out of range while parsing: \"a 1e400000000000000000000\"\n"},
    {"a 1e-400000000000000000000\n",
     "a = 0\n"
     "  {__name__=\"a\"}\n"},
    {"a 0e999\na -0\na 0.1\na 123456789012345678\na 9007199254740993\na 1234567890123456789012345\na 1763634567.1234567\n",
     "a = 0\n"
     "  {__name__=\"a\"}\n"
     "a = -0\n"
     "  {__name__=\"a\"}\n"
     "a = 0.1\n"
     "  {__name__=\"a\"}\n"
     "a = 1.2345678901234568e+17\n"
     "  {__name__=\"a\"}\n"
     "a = 9.007199254740992e+15\n"
     "  {__name__=\"a\"}\n"
     "a = 1.2345678901234568e+24\n"
     "  {__name__=\"a\"}\n"
     "a = 1.7636345671234567e+09\n"
     "  {__name__=\"a\"}\n"},
    {"a +1.5e+3\na 1.E5\na +.5\na 00012\n",
     "a = 1500\n"
     "  {__name__=\"a\"}\n"
     "a = 100000\n"
     "  {__name__=\"a\"}\n"
     "a = 0.5\n"
     "  {__name__=\"a\"}\n"
     "a = 12\n"
     "  {__name__=\"a\"}\n"},
    {"a --1",
     "error: strconv.ParseFloat: parsing \"--1\": invalid syntax while parsing: \"a --1\"\n"},
    {"a +-1",
     "error: strconv.ParseFloat: parsing \"+-1\": invalid syntax while parsing: \"a +-1\"\n"},
    {"a -",
     "error: strconv.ParseFloat: parsing \"-\": invalid syntax while parsing: \"a -\"\n"},
    {"a +",
     "error: strconv.ParseFloat: parsing \"+\": invalid syntax while parsing: \"a +\"\n"},
    {"a 1e",
     "error: strconv.ParseFloat: parsing \"1e\": invalid syntax while parsing: \"a 1e\"\n"},
    {"a 1e+",
     "error: strconv.ParseFloat: parsing \"1e+\": invalid syntax while parsing: \"a 1e+\"\n"},
    {"a e5",
     "error: strconv.ParseFloat: parsing \"e5\": invalid syntax while parsing: \"a e5\"\n"},
    {"a 1.2.3",
     "error: strconv.ParseFloat: parsing \"1.2.3\": invalid syntax while parsing: \"a 1.2.3\"\n"},
    {"a infinity1",
     "error: strconv.ParseFloat: parsing \"infinity1\": invalid syntax while parsing: \"a infinity1\"\n"},
    {"a nan1",
     "error: strconv.ParseFloat: parsing \"nan1\": invalid syntax while parsing: \"a nan1\"\n"},
    {"a -nan",
     "error: strconv.ParseFloat: parsing \"-nan\": invalid syntax while parsing: \"a -nan\"\n"},
    {"a 1 \n",
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
    {"a\t1\t2\n",
     "a = 1 @ 2\n"
     "  {__name__=\"a\"}\n"},
    {"a 1  2\n",
     "a = 1 @ 2\n"
     "  {__name__=\"a\"}\n"},
    {"a   1 2\n",
     "a = 1 @ 2\n"
     "  {__name__=\"a\"}\n"},
    {"a{b=\"c\"}\t1",
     "a{b=\"c\"} = 1\n"
     "  {__name__=\"a\", b=\"c\"}\n"},
    {"a{b=\"c\"}   {",
     "error: expected value after metric, got \"{\\n\" (\"BOPEN\") while parsing: \"a{b=\\\"c\\\"}   {\\n\"\n"},
    {"a {} {",
     "error: expected value after metric, got \"{\\n\" (\"BOPEN\") while parsing: \"a {} {\\n\"\n"},
    {"\303\251 1",
     "error: expected a valid start token, got \"\\xc3\" (\"INVALID\") while parsing: \"\\xc3\"\n"},
    {"a{\303\251=\"x\"} 1",
     "error: expected label name, got \"\\xc3\" (\"INVALID\") while parsing: \"a{\\xc3\"\n"},
    {"a{b=\"\303\251\"} 1",
     "a{b=\"\303\251\"} = 1\n"
     "  {__name__=\"a\", b=\"\303\251\"}\n"},
    {"a{b=\"\\\303\251\"} 1",
     "a{b=\"\\\303\251\"} = 1\n"
     "  {__name__=\"a\", b=\"\\\\\303\251\"}\n"},
    {"a{b=\"\\\377\"} 1",
     "error: invalid UTF-8 label value: \"\\\"\\\\\\xff\\\"\"\n"},
    {"a{b=\"\\\"} 1",
     "error: expected label value, got \"\\\"\\\\\\\"} 1\\n\" (\"INVALID\") while parsing: \"a{b=\\\"\\\\\\\"} 1\\n\"\n"},
    {std::string("# TYPE a gauge\000", 15),
     "error: invalid metric type \"gauge\\x00\"\n"},
    {std::string("# HELP a\000", 9),
     "error: linebreak expected after metadata, got \"\\x00\\n\" (\"EOF\") while parsing: \"# HELP a\\x00\\n\"\n"},
    {"# HELP \"a\377\" x",
     "HELP a\377|x|\n"},
    {"# HELP a\377",
     "HELP a||\n"},
    {"#",
     ""},
    {"# ",
     ""},
    {"#\n#a\n# b\n",
     ""},
    {std::string("#\000\na 1", 6),
     ""},
    {std::string("# \000\na 1", 7),
     ""},
    {"# HELP a b\n# HELP a c\n# TYPE a gauge\n# TYPE a counter\na 1\n",
     "HELP a|b|\n"
     "HELP a|c|\n"
     "TYPE a|gauge\n"
     "TYPE a|counter\n"
     "a = 1\n"
     "  {__name__=\"a\"}\n"},
};
// clang-format on

}  // namespace narthex::textparse

#endif  // NARTHEX_TESTS_UNIT_LIB_TEXTPARSE_EXPOSITION_CASES_H_
