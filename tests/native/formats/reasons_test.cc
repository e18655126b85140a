#include "formats/reasons.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace modelshrink {
namespace {

TEST(ReasonsTest, ArgumentsStandInTheirPlaces) {
  EXPECT_EQ(SentenceOf(ReasonCode::kKeptByRule), "kept by a rule");
  EXPECT_EQ(SentenceOf(Reason(ReasonCode::kWouldNotShrink, {uint64_t{12}, 34})),
            "would not shrink (12 → 34 bytes)");
  EXPECT_EQ(SentenceOf(Reason(ReasonCode::kNameTaken, {std::string("a{b}")})),
            "another tensor is called \"a{b}\"");
  EXPECT_EQ(PlaceOf(ReasonCode::kWouldNotShrink, 0), "from");
  EXPECT_EQ(PlaceOf(ReasonCode::kWouldNotShrink, 1), "to");
  EXPECT_EQ(PlaceOf(ReasonCode::kWouldNotShrink, 2), "");
}

TEST(ReasonsTest, CausesAreSentencesWithinSentences) {
  const Reason convolved(ReasonCode::kConvolved, {"Conv", "c1"});
  const Reason kept(ReasonCode::kKeepsChannels, {}, convolved);
  EXPECT_EQ(SentenceOf(kept), "keeps its output channels: they are convolved (Conv \"c1\")");
  EXPECT_EQ(
      SentenceOf(Reason(ReasonCode::kPrunedInstead, {"n:m"}, Reason(ReasonCode::kInputsNotSeen))),
      "its inputs were not seen, so pruned by n:m");
  // A cause is no argument.
  EXPECT_EQ(PlaceOf(ReasonCode::kPrunedInstead, 0), "method");
}

TEST(ReasonsTest, ACountHasItsNoun) {
  Reasons reasons;
  AddCount(ReasonCode::kOverflowed, 0, &reasons);
  EXPECT_TRUE(reasons.empty());
  AddCount(ReasonCode::kOverflowed, 1, &reasons);
  AddCount(ReasonCode::kNotFinite, 21, &reasons);
  AddReason(std::nullopt, &reasons);
  EXPECT_EQ(NoteOf(reasons), "1 value overflowed to infinity; 21 values not finite, written as 0");
  EXPECT_EQ(PlaceOf(ReasonCode::kOverflowed, 0), "count");
}

TEST(ReasonsTest, CodesAndSentencesAreUnique) {
  std::set<std::string> names, sentences;
  size_t num_codes = 0;
#define MODELSHRINK_REASON(code, name, sentence) \
  EXPECT_STREQ(NameOf(ReasonCode::code), name);  \
  names.insert(name);                            \
  sentences.insert(sentence);                    \
  ++num_codes;
#include "formats/reasons.def"
#undef MODELSHRINK_REASON
  EXPECT_EQ(names.size(), num_codes);
  EXPECT_EQ(sentences.size(), num_codes);
}

}  // namespace
}  // namespace modelshrink
