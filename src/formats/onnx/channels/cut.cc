#include "formats/onnx/channels/cut.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/onnx/channels/flow.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/value_graph.h"

namespace modelshrink::onnx {
namespace {

constexpr uint32_t kStays = ChannelPlan::kNone;

bool AsksForChannels(const TensorSpec& spec) {
  return spec.prune.method == PruneSpec::Method::kChannels;
}

// The labels of constants' axes as channels of a ChannelPlan.
class Planner {
 public:
  Planner(const Document& document, const Model& model, const TensorSpecs& specs)
      : document_(document), model_(model), specs_(specs) {}

  Status Run(Cut* cut) {
    ASSIGN_OR_RETURN(ValueGraph graph, ValueGraph::Build(document_));
    graph_.emplace(std::move(graph));
    flow_ = FollowChannels(document_, *graph_);
    tensor_of_constant_.assign(document_.constants.size(), kNone);
    for (size_t t = 0; t < model_.tensors.size(); ++t) {
      const size_t c = document_.constant_of_tensor[t];
      if (c != kNone) tensor_of_constant_[c] = t;
    }
    axes_.resize(document_.constants.size());
    for (size_t c = 0; c < document_.constants.size(); ++c) {
      const size_t value = graph_->ValueOfConstant(c);
      if (value != kNone && document_.constants[c].graph == 0) axes_[c] = &flow_.values[value];
    }
    FindPlaces();
    cut->channels.has_graph = true;
    RETURN_IF_ERROR(MakeSets(&cut->channels));
    Score(&cut->channels);
    Explain(cut);
    cut->is_held = is_held_;
    return {};
  }

  ChannelFlow& flow() { return flow_; }
  const Axes* AxesOf(size_t constant) const { return axes_[constant]; }
  // Null where there is no such value.
  const Axes* AxesOfOutput(Name name) const {
    const size_t value = graph_->Find(0, name);
    return value == kNone ? nullptr : &flow_.values[value];
  }
  uint32_t ChannelOf(Label label) {
    const auto found = channels_.find(flow_.labels.Find(label));
    return found == channels_.end() ? kStays : found->second;
  }

 private:
  using Place = std::pair<size_t, uint32_t>;  // a constant and an axis of it

  // A weight's axis of output channels.
  bool ComputesChannels(const Place& place) const {
    const size_t t = tensor_of_constant_[place.first];
    return t != kNone && model_.tensors[t].is_weight && model_.tensors[t].axis == place.second;
  }

  template <typename Visit>
  void ForEachLabel(Visit visit) {
    for (size_t c = 0; c < axes_.size(); ++c) {
      if (axes_[c] == nullptr) continue;
      for (uint32_t axis = 0; axis < axes_[c]->rank(); ++axis) {
        const Labels& labels = (*axes_[c])[axis].labels;
        if (labels == nullptr) continue;
        for (const Label label : *labels) visit(Place(c, axis), flow_.labels.Find(label));
      }
    }
  }

  // Where each channel is: the first label of a set that may go, in the order of the file.
  void FindPlaces() {
    ForEachLabel([this](const Place& place, Label root) {
      if (root == LabelSets::kFixed || flow_.labels.ObstacleOf(root).why) return;
      const auto [known, is_new] = places_.try_emplace(root);
      if (is_new) order_.push_back(root);
      known->second.push_back(place);
    });
  }

  // What a set of channels in these places loses.
  StatusOr<ChannelPlan::Set> SetOf(const std::vector<Place>& places, uint32_t count) {
    ChannelPlan::Set set = {.count = count};
    std::optional<Amount> amount;
    uint64_t multiple = 1;
    for (const Place& place : places) {
      const size_t t = tensor_of_constant_[place.first];
      if (t == kNone) return ChannelPlan::Set{};
      if (!model_.tensors[t].is_weight) continue;
      // A weight that is to stay as it is keeps what it is tied to.
      if (!AsksForChannels(specs_[t])) return ChannelPlan::Set{};
      const PruneSpec& spec = specs_[t].prune;
      if (!ComputesChannels(place)) continue;
      if (!amount || spec.amount.value < amount->value) amount = spec.amount;
      multiple = std::max<uint64_t>(multiple, spec.multiple_of);
      set.norm = spec.norm;
    }
    if (!amount) return ChannelPlan::Set{};
    ASSIGN_OR_RETURN(const uint64_t removed, CountOf(*amount, count, false));
    const uint64_t kept = std::max<uint64_t>(count - removed, 1);
    const uint64_t rounded = DivideRoundingUp(kept, multiple) * multiple;
    set.num_removed = static_cast<uint32_t>(count - std::min<uint64_t>(rounded, count));
    return set;
  }

  Status MakeSets(ChannelPlan* plan) {
    std::map<std::vector<Place>, std::vector<Label>> alike;
    std::vector<const std::vector<Place>*> in_order;
    for (const Label root : order_) {
      const auto [known, is_new] = alike.try_emplace(places_[root]);
      if (is_new) in_order.push_back(&known->first);
      known->second.push_back(root);
    }
    for (const std::vector<Place>* places : in_order) {
      const std::vector<Label>& roots = alike.find(*places)->second;
      ASSIGN_OR_RETURN(ChannelPlan::Set set, SetOf(*places, static_cast<uint32_t>(roots.size())));
      if (set.num_removed == 0) continue;
      set.first = plan->NumChannels();
      for (uint32_t i = 0; i < set.count; ++i) channels_[roots[i]] = set.first + i;
      plan->sets.push_back(set);
    }
    return {};
  }

  void Score(ChannelPlan* plan) {
    for (size_t c = 0; c < axes_.size(); ++c) {
      if (axes_[c] == nullptr) continue;
      for (uint32_t axis = 0; axis < axes_[c]->rank(); ++axis) {
        if (!ComputesChannels({c, axis})) continue;
        std::vector<uint32_t> channels = ChannelsOf((*axes_[c])[axis]);
        if (channels.empty()) continue;
        plan->scored.push_back({tensor_of_constant_[c], axis, std::move(channels)});
      }
    }
  }

  // Empty where all stay.
  std::vector<uint32_t> ChannelsOf(const Axis& axis) {
    std::vector<uint32_t> channels;
    if (axis.labels == nullptr) return channels;
    for (const Label label : *axis.labels) channels.push_back(ChannelOf(label));
    const bool all_stay = std::all_of(channels.begin(), channels.end(),
                                      [](uint32_t channel) { return channel == kStays; });
    return all_stay ? std::vector<uint32_t>() : channels;
  }

  void Explain(Cut* cut) {
    cut->keeping.resize(model_.tensors.size());
    for (size_t t = 0; t < model_.tensors.size(); ++t) {
      const Tensor& tensor = model_.tensors[t];
      if (!AsksForChannels(specs_[t]) || !tensor.is_weight) continue;
      const size_t c = document_.constant_of_tensor[t];
      const Axes* axes = c == kNone ? nullptr : axes_[c];
      if (axes == nullptr || tensor.axis >= axes->rank()) {
        cut->keeping[t] = Reason(ReasonCode::kKeepsChannels, {}, ReasonCode::kOnlyInBranches);
        continue;
      }
      const Axis& axis = (*axes)[tensor.axis];
      if (!ChannelsOf(axis).empty()) continue;
      cut->keeping[t] = Reason(ReasonCode::kKeepsChannels, {}, ReasonOf(axis));
    }
  }

  Reason ReasonOf(const Axis& axis) {
    if (axis.labels == nullptr) {
      return axis.size == 1 ? ReasonCode::kOneChannel : ReasonCode::kAxisTooLong;
    }
    const Label root = flow_.labels.Find(axis.labels->front());
    const Obstacle obstacle = flow_.labels.ObstacleOf(root);
    if (!obstacle.why) return HeldBy(root);
    if (obstacle.node == kNone) return *obstacle.why;
    const Node& node = document_.nodes[obstacle.node];
    const std::string& name =
        node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name;
    return Reason(*obstacle.why, {node.op_type, name.substr(0, 80)});
  }

  Reason HeldBy(Label root) {
    uint32_t multiple = 1;
    for (const Place& place : places_[root]) {
      const size_t t = tensor_of_constant_[place.first];
      if (t == kNone || !model_.tensors[t].is_weight) continue;
      if (!AsksForChannels(specs_[t])) {
        is_held_ = true;
        return Reason(ReasonCode::kTiedToKept, {model_.tensors[t].name});
      }
      multiple = std::max(multiple, specs_[t].prune.multiple_of);
    }
    if (multiple == 1) return ReasonCode::kLessThanOne;
    return Reason(ReasonCode::kLessThanMultiple, {multiple});
  }

  const Document& document_;
  const Model& model_;
  const TensorSpecs specs_;
  std::optional<ValueGraph> graph_;
  ChannelFlow flow_;
  std::vector<size_t> tensor_of_constant_;
  std::vector<const Axes*> axes_;  // by constant of the main graph; null: none
  std::unordered_map<Label, std::vector<Place>> places_;
  std::vector<Label> order_;
  std::unordered_map<Label, uint32_t> channels_;
  bool is_held_ = false;
};

// 1 by channel that goes.
StatusOr<std::vector<uint8_t>> RemovedBy(const ChannelPlan& plan,
                                         std::span<const uint8_t> removed) {
  std::vector<uint8_t> result(plan.NumChannels());
  if (!removed.empty() && removed.size() != result.size()) {
    return ArgumentError(
        Concat({"the model has ", result.size(), " channels that can go, not ", removed.size()}));
  }
  for (const ChannelPlan::Set& set : plan.sets) {
    const auto begin = result.begin() + set.first;
    if (removed.empty()) {
      std::fill_n(begin + (set.count - set.num_removed), set.num_removed, uint8_t{1});
    } else {
      std::transform(removed.begin() + set.first, removed.begin() + set.first + set.count, begin,
                     [](uint8_t goes) { return static_cast<uint8_t>(goes != 0); });
    }
    if (std::count(begin, begin + set.count, uint8_t{1}) != set.num_removed) {
      return ArgumentError("other numbers of channels were chosen than the plan has");
    }
  }
  return result;
}

// Takes channels out of a Document.
class Cutter {
 public:
  Cutter(Planner& planner, std::vector<uint8_t> removed, Cut* cut)
      : planner_(planner), removed_(std::move(removed)), cut_(cut) {}

  Status Run() {
    cut_->kept.resize(cut_->document.constants.size());
    for (size_t c = 0; c < cut_->document.constants.size(); ++c) CutConstant(c);
    for (const ChannelCount& count : planner_.flow().counts) RETURN_IF_ERROR(Recount(count));
    CutShapes();
    return {};
  }

 private:
  bool Stays(Label label) {
    const uint32_t channel = planner_.ChannelOf(label);
    return channel == kStays || removed_[channel] == 0;
  }

  std::vector<uint32_t> KeptOf(const Labels& labels) {
    std::vector<uint32_t> kept;
    for (uint32_t i = 0; i < labels->size(); ++i) {
      if (Stays((*labels)[i])) kept.push_back(i);
    }
    return kept;
  }

  void CutConstant(size_t c) {
    const Axes* axes = planner_.AxesOf(c);
    Constant& constant = cut_->document.constants[c];
    if (axes == nullptr || axes->rank() != constant.dims.size()) return;
    KeptIndices kept(axes->rank());
    bool is_cut = false;
    for (size_t axis = 0; axis < axes->rank(); ++axis) {
      const Labels& labels = (*axes)[axis].labels;
      if (labels == nullptr) continue;
      std::vector<uint32_t> indices = KeptOf(labels);
      if (indices.size() == labels->size()) continue;
      constant.dims[axis] = indices.size();
      kept[axis] = std::move(indices);
      is_cut = true;
    }
    if (is_cut) cut_->kept[c] = std::move(kept);
  }

  Status Recount(const ChannelCount& count) {
    const size_t kept = KeptOf(count.labels).size();
    if (kept == count.labels->size()) return {};
    if (count.kind == ChannelCount::Kind::kGroups) {
      for (Attribute& attribute : cut_->document.nodes[count.target].attributes) {
        if (attribute.name == "group") attribute.i = static_cast<int64_t>(kept);
      }
      cut_->nodes.push_back(count.target);
      return {};
    }
    std::string& value = cut_->document.constants[count.target].value;
    const std::string entry = BytesOf(std::vector<int64_t>{static_cast<int64_t>(kept)});
    if (value.size() < (count.index + 1) * entry.size()) return IntegrityError("no such entry");
    value.replace(count.index * entry.size(), entry.size(), entry);
    if (std::find(cut_->shapes.begin(), cut_->shapes.end(), count.target) == cut_->shapes.end()) {
      cut_->shapes.push_back(count.target);
    }
    return {};
  }

  // What the file says of the shapes of values.
  void CutShapes() {
    for (size_t i = 0; i < cut_->document.value_infos.size(); ++i) {
      ValueInfo& info = cut_->document.value_infos[i];
      if (info.graph != 0 || info.kind != ValueInfo::Kind::kInner) continue;
      const Axes* axes = planner_.AxesOfOutput(info.name);
      if (axes != nullptr && CutShape(*axes, &info)) cut_->value_infos.push_back(i);
    }
  }

  bool CutShape(const Axes& axes, ValueInfo* info) {
    if (!info->has_shape || axes.rank() > info->dims.size()) return false;
    bool has_changed = false;
    const size_t lead = info->dims.size() - axes.rank();
    for (size_t i = 0; i < axes.rank(); ++i) {
      if (axes[i].labels == nullptr) continue;
      const int64_t size = static_cast<int64_t>(KeptOf(axes[i].labels).size());
      if (size == static_cast<int64_t>(axes[i].labels->size())) continue;
      info->dims[lead + i] = {.size = size, .name = ""};
      has_changed = true;
    }
    return has_changed;
  }

  Planner& planner_;
  const std::vector<uint8_t> removed_;
  Cut* const cut_;
};

std::string FirstReason(const Model& model, const std::vector<std::optional<Reason>>& keeping) {
  for (size_t i = 0; i < keeping.size(); ++i) {
    if (keeping[i]) {
      return Concat({"\"", model.tensors[i].name.substr(0, 80), "\" ", SentenceOf(*keeping[i])});
    }
  }
  return "no weight may lose any";
}

}  // namespace

StatusOr<Cut> CutChannels(const Document& document, const Model& model, const TensorSpecs& specs,
                          std::span<const uint8_t> removed) {
  Cut cut;
  cut.document = document;
  Planner planner(document, model, specs);
  RETURN_IF_ERROR(planner.Run(&cut));
  if (cut.channels.sets.empty() && !cut.is_held) {
    return UnsupportedError("no channel can be removed: " + FirstReason(model, cut.keeping));
  }
  ASSIGN_OR_RETURN(std::vector<uint8_t> goes, RemovedBy(cut.channels, removed));
  RETURN_IF_ERROR(Cutter(planner, std::move(goes), &cut).Run());
  return cut;
}

}  // namespace modelshrink::onnx
