#include "formats/json/json.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/quoted.h"
#include "gtest/gtest.h"

namespace modelshrink::json {
namespace {

constexpr uint64_t kBase = 8;

Document Parsed(std::string_view text) {
  auto document = Document::Parse(text, kBase);
  EXPECT_TRUE(document.ok()) << text << ": " << document.status().message();
  return document.ok() ? std::move(document).value() : Document();
}

struct Failure {
  std::string message;
  uint64_t offset = 0;
};

Failure FailureOf(const Status& status) {
  EXPECT_FALSE(status.ok());
  return {status.message(), status.offset().value_or(UINT64_MAX)};
}

TEST(Json, IndexesValuesInTheOrderOfTheText) {
  const std::string text = R"( { "a" : [ 1 , {"b":[]}, "x" ] ,"c":null, "d" :{} } )";
  const Document document = Parsed(text);
  EXPECT_EQ(document.kind(document.root()), Kind::kObject);
  std::vector<std::string> keys, values;
  for (const Member& member : Members(document, document.root())) {
    keys.push_back(document.String(member.key).value());
    values.emplace_back(document.raw(member.value));
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "c", "d"}));
  EXPECT_EQ(values, (std::vector<std::string>{R"([ 1 , {"b":[]}, "x" ])", "null", "{}"}));

  const NodeId array = document.Find(document.root(), "a");
  std::vector<std::string> elements;
  std::vector<Kind> kinds;
  for (const NodeId element : Elements(document, array)) {
    elements.emplace_back(document.raw(element));
    kinds.push_back(document.kind(element));
  }
  EXPECT_EQ(elements, (std::vector<std::string>{"1", R"({"b":[]})", R"("x")"}));
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::kNumber, Kind::kObject, Kind::kString}));
  EXPECT_EQ(document.OffsetOf(array), kBase + text.find('['));
  EXPECT_EQ(document.Find(document.root(), "z"), document.root());
  EXPECT_EQ(document.After(document.root()), 12u);
}

TEST(Json, FindsTheEndOfLongAndShortContainers) {
  // Inner arrays of every length, so that each length of the search occurs.
  std::string text = "[";
  for (int i = 0; i < 100; ++i) {
    text += i == 0 ? "[" : ",[";
    for (int j = 0; j < i; ++j) text += j == 0 ? "1234567" : ",1234567";
    text += "]";
  }
  text += "]";
  const Document document = Parsed(text);
  size_t expected = 0;
  for (const NodeId element : Elements(document, document.root())) {
    size_t size = 0;
    for (const NodeId inner : Elements(document, element)) size += inner > 0;
    EXPECT_EQ(size, expected++);
  }
  EXPECT_EQ(expected, 100u);
}

TEST(Json, DecodesStrings) {
  const Document document =
      Parsed(R"(["\"\\\/\b\f\n\r\t", "\u0041\u00e9\u20AC\uD83D\uDE00\u0000.", "é€😀", ""])");
  std::vector<std::string> strings;
  for (const NodeId element : Elements(document, document.root())) {
    strings.push_back(document.String(element).value());
  }
  EXPECT_EQ(strings[0], "\"\\/\b\f\n\r\t");
  EXPECT_EQ(strings[1], std::string("Aé€😀\0.", 12));
  EXPECT_EQ(strings[2], "é€😀");
  EXPECT_EQ(strings[3], "");
  EXPECT_TRUE(document.IsString(2, strings[1]));
  EXPECT_FALSE(document.IsString(2, "A"));
  EXPECT_TRUE(document.IsString(3, "é€😀"));
  EXPECT_FALSE(document.IsString(document.root(), "["));
}

TEST(Json, QuotedStringsAreReadBack) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "é€😀";
  std::string text;
  AppendQuoted(all, &text);
  EXPECT_EQ(Parsed(text).String(0).value(), all);
  text.clear();
  AppendQuoted("\"\\/\b\f\n\r\t\x1F\x7F", &text);
  EXPECT_EQ(text, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\x7F\"");
}

TEST(Json, Integers) {
  const Document document = Parsed(
      "[0, 9007199254740991, 18446744073709551615, 9007199254740992,"
      "-1, 1.0, 1e3, \"1\", -0]");
  EXPECT_EQ(document.Unsigned(1).value(), 0u);
  EXPECT_EQ(document.Unsigned(2).value(), 9007199254740991u);
  for (const NodeId node : {3, 4}) {
    const Failure failure = FailureOf(document.Unsigned(node).status());
    EXPECT_EQ(failure.message, "a size or an index is 2^53 or more");
    EXPECT_EQ(failure.offset, document.OffsetOf(node));
  }
  EXPECT_EQ(document.Unsigned(5).status().message(), "a size or an index is negative");
  for (const NodeId node : {6, 7}) {
    EXPECT_EQ(document.Unsigned(node).status().message(),
              "a size or an index is written with a fraction or an exponent");
  }
  EXPECT_EQ(document.Unsigned(8).status().message(), "expected a number, found a string");
  EXPECT_EQ(document.Unsigned(9).status().message(), "a size or an index is negative");
}

TEST(Json, FloatsAreTheNearest) {
  const Document document = Parsed(
      "[0.1, -2.5e-3, 5e-324, 1.7976931348623157e308, "
      "0.30000000000000004, 9007199254740993]");
  EXPECT_EQ(document.Number(1).value(), 0.1);
  EXPECT_EQ(document.Number(2).value(), -0.0025);
  EXPECT_EQ(document.Number(3).value(), std::nextafter(0.0, 1.0));
  EXPECT_EQ(document.Number(4).value(), 1.7976931348623157e308);
  EXPECT_EQ(document.Number(5).value(), 0.1 + 0.2);
  EXPECT_EQ(document.Number(6).value(), 9007199254740992.0);
}

TEST(Json, Booleans) {
  const Document document = Parsed("[true, false, 1]");
  EXPECT_TRUE(document.Bool(1).value());
  EXPECT_FALSE(document.Bool(2).value());
  EXPECT_EQ(document.Bool(3).status().message(), "expected a boolean, found a number");
}

TEST(Json, DuplicateKeysAreFoundBehindEscapes) {
  const std::string text = R"({"b":1,"a":{"a":1},"\u0061":2})";
  const Document document = Parsed(text);
  const Failure failure = FailureOf(document.CheckUniqueKeys(document.root()));
  EXPECT_EQ(failure.message, "the key \"a\" occurs twice");
  EXPECT_EQ(failure.offset, kBase + text.find("\"\\u"));
  EXPECT_TRUE(document.CheckUniqueKeys(document.Find(document.root(), "a")).ok());
  EXPECT_TRUE(Parsed("{}").CheckUniqueKeys(0).ok());
}

struct BadText {
  std::string text;
  const char* message;
  uint64_t offset;  // in the text
};

TEST(Json, EveryWayToBeWrongHasItsMessageAndItsByte) {
  const BadText kTexts[] = {
      {"", "the JSON text is empty or does not begin with a value", 0},
      {"  ", "the JSON text is empty or does not begin with a value", 2},
      {"\xEF\xBB\xBF{}", "the JSON text begins with a byte order mark", 0},
      {"{} x", "the JSON text goes on after its value", 3},
      {std::string("{}\0", 3), "the JSON text goes on after its value", 2},
      {"[1", "a JSON array needs a comma or a closing bracket here", 2},
      {"[1,]", "this is no JSON value", 3},
      {"[x]", "this is no JSON value", 1},
      {"[01]", "a JSON array needs a comma or a closing bracket here", 2},
      {"[NaN]", "this is no JSON value", 1},
      {"{", "a JSON object needs a key in quotes here", 1},
      {"{\"a\" 1}", "a JSON key needs a colon after it", 5},
      {"{\"a\":1", "a JSON object needs a comma or a closing brace here", 6},
      {"{\"a\":1,}", "a JSON object needs a key in quotes here", 7},
      {"[\"a", "a JSON string does not end", 3},
      {"[\"\\x\"]", "a JSON string has an unknown escape or a control character", 2},
      {"[\"\n\"]", "a JSON string has an unknown escape or a control character", 2},
      {"[\"\\u12\"]", "a JSON escape \\u needs four hexadecimal digits", 2},
      {"[\"\\uD800\"]", "a JSON string has half of a surrogate pair", 2},
      {"[\"\\uD800\\u0041\"]", "a JSON string has half of a surrogate pair", 2},
      {"[\"a\\uDC00\"]", "a JSON string has half of a surrogate pair", 3},
      {"[\"\xFF\"]", "a JSON string is not valid UTF-8", 2},
      {"[\"\xC0\x80\"]", "a JSON string is not valid UTF-8", 2},
      {"[\"\xED\xA0\x80\"]", "a JSON string is not valid UTF-8", 2},
      {"[\"\xF4\x90\x80\x80\"]", "a JSON string is not valid UTF-8", 2},
      {"[\"\xE2\x82\"]", "a JSON string is not valid UTF-8", 2},
      {"[1e309]", "a JSON number is too large for float64", 1},
      {"[1.]", "a JSON number needs digits after its point", 3},
      {"[1e]", "a JSON number needs digits in its exponent", 3},
  };
  for (const BadText& bad : kTexts) {
    const auto document = Document::Parse(bad.text, kBase);
    ASSERT_FALSE(document.ok()) << bad.text;
    EXPECT_EQ(document.status().code(), StatusCode::kFormat);
    EXPECT_EQ(document.status().message(), bad.message) << bad.text;
    EXPECT_EQ(document.status().offset(), kBase + bad.offset) << bad.text;
  }
}

TEST(Json, EveryBeginningOfATextIsRefused) {
  const std::string text = R"({"a":[1,-2.5e3,"x\u00e9",true,false,null,{}]})";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(Document::Parse(std::string_view(text).substr(0, size), 0).ok()) << size;
  }
}

TEST(Json, DepthIsCapped) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(Document::Parse(nested(Document::kMaxDepth), 0).ok());
  for (const size_t depth : {size_t{Document::kMaxDepth} + 1, size_t{1000000}}) {
    const auto document = Document::Parse(nested(depth), kBase);
    EXPECT_EQ(document.status().code(), StatusCode::kUnsupported);
    EXPECT_EQ(document.status().offset(), kBase + Document::kMaxDepth);
  }
}

TEST(Json, TheNumberOfValuesIsCapped) {
  const auto array_of = [](size_t size) {
    std::string text = "[1";
    for (size_t i = 1; i < size; ++i) text += ",1";
    return text + "]";
  };
  EXPECT_TRUE(Document::Parse(array_of(2000), 0).ok());
  const auto document = Document::Parse(array_of(10000), 0);
  EXPECT_EQ(document.status().code(), StatusCode::kUnsupported);
  // The root is a node too, and each further one takes two bytes.
  EXPECT_EQ(document.status().offset(), (Document::MaxNodes(20001) - 1) * 2 + 1);
}

}  // namespace
}  // namespace modelshrink::json
