#include "readers/view_build.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "core/time.hpp"

namespace readers {
namespace {

// Copies made of channels that move meanwhile, before one is shown as it is.
constexpr int kMostCopies = 3;

std::atomic_ref<int32_t> shared(std::span<int32_t> words, size_t at) noexcept { return std::atomic_ref<int32_t>(words[at]); }

std::atomic_ref<int32_t> shared(std::span<int32_t> words, int32_t at) noexcept { return shared(words, static_cast<size_t>(at)); }

// The builder's JavaScript writes these as they are; who reads one has seen an atomic word change first.
double& number(std::span<double> floats, int32_t at) noexcept { return floats[static_cast<size_t>(at)]; }

bool holds(size_t size, int32_t at, size_t count = 1) noexcept { return at >= 0 && static_cast<size_t>(at) + count <= size; }

}  // namespace

bool ViewBuild::is_sound() const noexcept {
  const BuildLayout& layout = layout_;
  if (layout.generation_words < 1) return false;
  for (const int32_t at : {layout.current, layout.want_gzip, layout.builds}) {
    if (!holds(words_.size(), at)) return false;
  }
  if (!holds(words_.size(), layout.generations, kGenerations * static_cast<size_t>(layout.generation_words))) return false;
  for (const int32_t at : {layout.pins, layout.bytes, layout.time_at, layout.gzip_bytes, layout.gzip_time_at, layout.series, layout.crc}) {
    if (at < 0 || at >= layout.generation_words) return false;
  }
  for (const int32_t at : {layout.used, layout.build_seconds, layout.version}) {
    if (!holds(floats_.size(), at)) return false;
  }
  return holds(floats_.size(), layout.built, kGenerations) && holds(floats_.size(), layout.oldest, kGenerations * roles_);
}

bool ViewBuild::is_sound(const BuildPlan& plan) const noexcept {
  if (plan.order.size() != plan.kinds.size() * 3 || plan.missing.size() % 2 != 0) return false;
  for (const BuildEntry& entry : plan.entries) {
    if (entry.variant >= 32 || entry.role >= static_cast<int32_t>(roles_)) return false;
    for (const int32_t at : {layout_.active, layout_.sequence, layout_.fallback, layout_.shapes + 1, layout_.printed + 1}) {
      if (!holds(entry.words.size(), at)) return false;
    }
    if (!holds(entry.floats.size(), layout_.page_started, 2) || !holds(entry.floats.size(), layout_.max_age)) return false;
  }
  for (size_t i = 0; i < plan.missing.size(); i += 2) {
    if (plan.missing[i] < 0 || static_cast<size_t>(plan.missing[i]) >= plan.entries.size() || plan.missing[i + 1] < 0) return false;
  }
  return layout_.shapes >= 0 && layout_.printed >= 0;
}

bool ViewBuild::arm(BuildPlan plan) {
  plan_.reset();
  if (!is_sound(plan)) return false;
  shown_.resize(plan.entries.size());
  sequences_.resize(plan.entries.size());
  oldest_.resize(roles_);
  plan_ = std::move(plan);
  return true;
}

BuildState ViewBuild::perform() noexcept {
  const double started_ms = monotonic_ms();
  if (shared(words_, layout_.current).load() >= 0) {
    if (started_ms - number(floats_, layout_.used) > idle_ms_) return BuildState::unneeded;
    if (plan_ && version() == number(floats_, layout_.version)) return BuildState::unneeded;
  }
  if (!plan_) return BuildState::left;
  if (plan_->deflater == nullptr && shared(words_, layout_.want_gzip).load() != 0) return BuildState::left;
  const size_t generation = free_generation();
  if (generation == kGenerations) return BuildState::left;
  const std::span<uint8_t> page = plan_->pages[generation];
  const auto merged = merge(page, started_ms);
  if (!merged) return BuildState::left;
  GzipResult gzip{0, PageHole::kNone, 0};
  if (plan_->deflater != nullptr) {
    const PageHole hole{merged->time_at, merged->time_at == SIZE_MAX ? 0 : kTimeBytes};
    const auto compressed = plan_->deflater->gzip_known(page.first(merged->bytes), hole, plan_->gzips[generation]);
    if (!compressed) return BuildState::left;
    gzip = *compressed;
  }
  publish(generation, *merged, gzip, started_ms);
  return BuildState::built;
}

size_t ViewBuild::word_of(size_t generation, int32_t word) const noexcept {
  return static_cast<size_t>(layout_.generations) + generation * static_cast<size_t>(layout_.generation_words) + static_cast<size_t>(word);
}

size_t ViewBuild::free_generation() const noexcept {
  const int32_t current = shared(words_, layout_.current).load();
  for (size_t generation = 0; generation < kGenerations; ++generation) {
    if (static_cast<int32_t>(generation) != current && shared(words_, word_of(generation, layout_.pins)).load() == 0) return generation;
  }
  return kGenerations;
}

double ViewBuild::version() const noexcept {
  double sum = 0;
  for (const BuildEntry& entry : plan_->entries) sum += shared(entry.words, layout_.sequence).load();
  return sum;
}

// What a channel shows now: Channel.view of src/collect/channel.ts. False when its families may be others than planned.
bool ViewBuild::choose_entry(size_t at, double now_ms) noexcept {
  const BuildEntry& entry = plan_->entries[at];
  const auto choose = [&](size_t page, int32_t shape) {
    shown_[at] = shape == kNoShape ? MergePage{} : entry.pages[page];
    return shape == entry.shape;
  };
  sequences_[at] = shared(entry.words, layout_.sequence).load();
  if (shared(entry.words, layout_.fallback).load() == 1) return choose(2, kFallbackShape);
  if (sequences_[at] == 0) return choose(0, kNoShape);
  const int32_t buffer = shared(entry.words, layout_.active).load() == 0 ? 0 : 1;
  const double page_started_ms = number(entry.floats, layout_.page_started + buffer);
  const auto printed = static_cast<uint32_t>(shared(entry.words, layout_.printed + buffer).load());
  if (page_started_ms == 0 || (printed & 1U << entry.variant) == 0) return choose(0, kNoShape);
  const double max_age_ms = number(entry.floats, layout_.max_age);
  if (max_age_ms > 0 && now_ms - page_started_ms > max_age_ms) return choose(2, kFallbackShape);
  if (entry.role >= 0) {
    double& oldest = oldest_[static_cast<size_t>(entry.role)];
    if (!(page_started_ms >= oldest)) oldest = page_started_ms;
  }
  return choose(static_cast<size_t>(buffer), shared(entry.words, layout_.shapes + buffer).load());
}

bool ViewBuild::choose(double now_ms) noexcept {
  std::fill(oldest_.begin(), oldest_.end(), std::numeric_limits<double>::quiet_NaN());
  for (size_t at = 0; at < plan_->entries.size(); ++at) {
    if (!choose_entry(at, now_ms)) return false;
  }
  return !has_missing_appeared();
}

bool ViewBuild::has_missing_appeared() const noexcept {
  const std::vector<int32_t>& missing = plan_->missing;
  for (size_t i = 0; i < missing.size(); i += 2) {
    const std::span<uint32_t> index = shown_[static_cast<size_t>(missing[i])].index;
    const size_t samples = static_cast<size_t>(missing[i + 1]) * kIndexWords + kIndexWords - 1;
    // A page that is not shown has no index.
    if (samples < index.size() && index[samples] > 0) return true;
  }
  return false;
}

std::optional<MergeResult> ViewBuild::merge(std::span<uint8_t> target, double now_ms) noexcept {
  for (int copy = 1;; ++copy) {
    if (!choose(now_ms)) return std::nullopt;
    const MergeResult merged = merge_pages(plan_->order, plan_->kinds, shown_, target);
    if (merged.state != PageState::ok) return std::nullopt;
    // A channel that finished a run meanwhile may be filling the buffer that was copied from.
    bool is_disturbed = false;
    for (size_t at = 0; at < sequences_.size(); ++at) {
      is_disturbed |= shared(plan_->entries[at].words, layout_.sequence).load() != sequences_[at];
    }
    if (!is_disturbed || copy == kMostCopies) return merged;
  }
}

void ViewBuild::publish(size_t generation, const MergeResult& merged, const GzipResult& gzip, double started_ms) noexcept {
  const auto set = [&](int32_t word, size_t value) { words_[word_of(generation, word)] = static_cast<int32_t>(value); };
  static_assert(static_cast<int32_t>(PageHole::kNone) == -1, "none is -1 in the words as well");
  set(layout_.bytes, merged.bytes);
  set(layout_.time_at, merged.time_at);
  set(layout_.gzip_bytes, gzip.bytes);
  set(layout_.gzip_time_at, gzip.hole_at);
  set(layout_.series, merged.samples);
  set(layout_.crc, gzip.crc);
  const size_t oldest = static_cast<size_t>(layout_.oldest) + generation * roles_;
  std::copy(oldest_.begin(), oldest_.end(), floats_.begin() + static_cast<ptrdiff_t>(oldest));
  const double ended_ms = monotonic_ms();
  floats_[static_cast<size_t>(layout_.built) + generation] = ended_ms;
  number(floats_, layout_.build_seconds) = (ended_ms - started_ms) / 1000;
  double version = 0;
  for (const int32_t sequence : sequences_) version += sequence;
  number(floats_, layout_.version) = version;
  shared(words_, layout_.builds).fetch_add(1);
  shared(words_, layout_.current).store(static_cast<int32_t>(generation));
}

ViewBuilds& ViewBuilds::process() noexcept {
  // Never destroyed: threads may still be at work when the process ends.
  static auto& builds = *new ViewBuilds();
  return builds;
}

void ViewBuilds::enter(const void* bell, ViewBuild& build) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({bell, &build});
}

void ViewBuilds::leave(ViewBuild& build) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.build == &build; });
}

bool ViewBuilds::arm(ViewBuild& build, BuildPlan plan) {
  const std::lock_guard lock(mutex_);
  return build.arm(std::move(plan));
}

void ViewBuilds::disarm(ViewBuild& build) noexcept {
  const std::lock_guard lock(mutex_);
  build.disarm();
}

bool ViewBuilds::perform(const void* bell) noexcept {
  const std::lock_guard lock(mutex_);
  bool is_done = true;
  for (const Entry& entry : entries_) {
    if (entry.bell == bell && entry.build->perform() == BuildState::left) is_done = false;
  }
  return is_done;
}

}  // namespace readers
