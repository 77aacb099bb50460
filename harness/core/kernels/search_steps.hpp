// One step of a search: what may come next in a configuration.
//
// A configuration is a place, a state, and for each open slot whether its operation is *pending*,
// *done* (in order already) or *optional*; and how many indeterminate operations were spent. It
// stands for all ordinary configurations in which any of the optional operations are done and the
// others pending, the same state. docs/decisions/0006 proves the rules.
#pragma once
#include "search_timeline.hpp"

namespace search {

template <int W>
struct Configuration {
  Mask<W> done;
  Mask<W> optional;
  i32 state;
  i32 spent;  // a tree of Counts
};

// A configuration that is to be looked at.
template <int W>
struct Item {
  Configuration<W> at;
  i32 place;
  i32 flags;
};

// COMMITTED: it was reached by an operation that makes no sense unless one that is not blind comes
// next. INNER: it was reached at this place, not by a return. PASSED: the way on which the
// returning operation, being optional, counts as done was taken already.
constexpr i32 COMMITTED = 1, INNER = 2, PASSED = 4;

// How likely it is to lead on, for depth-first search.
enum Merit : i32 { SPENDS, MOVES, SPENDS_WELL, MOVES_WELL, RETURNS, MERITS };

// What one state means for what is open at one place.
template <int W>
struct View {
  Mask<W> pure;    // legal pure operations
  Mask<W> legal;   // legal ones that change the state
  Mask<W> stays;   // legal ones that happen not to change this state, blind ones among them
  i32 supply_first, supply_last;  // legal supplies that are not blind and change the state
};

template <int W>
class Steps {
 public:
  Steps(Meter& meter, const Timeline& timeline, Transitions& transitions, bool relaxed)
      : cursor(timeline),
        timeline_(timeline),
        transitions_(transitions),
        relaxed_(relaxed),
        counts(meter, static_cast<i32>(timeline.supplies.size())),
        views_(meter),
        next_(meter),
        supply_steps_(meter),
        view_of_(meter) {}

  // The view of a state at the place of the cursor; null if the model must be asked first (with
  // ask: the questions are on its list), else it is certain to stay until the place changes.
  const View<W>* view(i32 state, bool ask) {
    forget_if_moved();
    if (view_of_.size() <= static_cast<std::size_t>(state)) {
      view_of_.resize(transitions_.states(), Known{0, 0});
    }
    if (view_of_[state].stamp == stamp_) return &views_[view_of_[state].view];
    return look(state, ask);
  }

  // Put in order what needs no choice.
  //
  // A pure operation that is legal is done. One that happens not to change this state is optional.
  void settle(Configuration<W>& c, i32& flags, const View<W>& view) const {
    if (progress(c, view).any()) flags &= ~COMMITTED;
    c.done = c.done | view.pure;
    c.optional = c.optional | view.stays.minus(c.done);
  }

  // Whether the supplies can be offered in c: false if the model must be asked first.
  bool prepare() {
    if (relaxed_ready_ == stamp_) return true;
    bool ready = true;
    for (i32 j = 0; j < cursor.known; ++j) {
      const i32 kind = timeline_.supplies[j];
      if (!timeline_.blind[kind]) continue;
      const i32 after = transitions_.find_or_ask(0, kind);
      if (after == MISSING || view(after, true) == nullptr) ready = false;
    }
    if (ready) relaxed_ready_ = stamp_;
    return ready;
  }

  // Call push(item, merit) for everything that may come next in the settled c. prepare() was true.
  template <class Push>
  void expand(const Configuration<W>& c, i32 flags, Push push) {
    const i32 returning = cursor.order.front();
    const i32 target = timeline_.kind[cursor.at[returning]];
    const View<W> view = views_[view_of_[c.state].view];
    const i32* next = nullptr;
    for (i32 slot : cursor.order) {
      const bool blind = cursor.blind.has(slot);
      if (!view.legal.has(slot) && !(blind && hides(c, slot))) continue;
      if (c.done.has(slot) || (blind && (flags & COMMITTED))) continue;
      if (superfluous(c, slot, blind)) continue;
      next = &next_[static_cast<std::size_t>(view_of_[c.state].view) * timeline_.slots];
      Item<W> item{c, cursor.place, INNER};
      item.at.state = next[slot];
      item.at.done.set(slot);
      item.at.optional.clear(slot);
      if (blind) hide(item.at);
      if (slot == returning) {
        item.at.done.clear(slot);
        push(Item<W>{item.at, cursor.place + 1, 0}, RETURNS);
        continue;
      }
      if (blind) {
        if (!useful(item.at)) continue;
        item.flags |= COMMITTED;
      }
      push(item, enables(item.at, target) ? MOVES_WELL : MOVES);
    }
    for (i32 i = view.supply_first; i < view.supply_last; ++i) {
      const Supplied one = supply_steps_[i];
      spend(c, one.supply, one.next, false, target, push);
    }
    if (flags & COMMITTED) return;
    for (i32 j = 0; j < cursor.known; ++j) {
      const i32 kind = timeline_.supplies[j];
      if (!timeline_.blind[kind]) continue;
      const i32 after = transitions_.find(0, kind);
      if (after != c.state || hides(c, -1)) spend(c, j, after, true, target, push);
    }
  }

  // Whether every way on from b is one from a too (same place and state).
  bool covers(const Mask<W>& done_a, const Mask<W>& optional_a, i32 spent_a, const Mask<W>& done_b,
              const Mask<W>& optional_b, i32 spent_b) const {
    ++comparisons_;
    const Mask<W> differ = (done_a ^ done_b) | (optional_a ^ optional_b);
    const Mask<W> spare = relaxed_ ? cursor.pure | cursor.supplied : cursor.pure;
    if (differ.minus(optional_a | (spare & done_a)).any()) return false;
    return counts.at_most(spent_a, spent_b);
  }

  // What the comparisons since the last call cost, in steps. So engines that take turns spend
  // alike, and yet the turns depend on no clock.
  i64 comparisons() {
    const i64 steps = comparisons_ / COMPARISONS_PER_STEP;
    comparisons_ %= COMPARISONS_PER_STEP;
    return steps;
  }

  Cursor<W> cursor;

 private:
  static constexpr i64 COMPARISONS_PER_STEP = 64;

  struct Known {
    u32 stamp, view;
  };
  struct Supplied {
    i32 supply, next;
  };

  void forget_if_moved() {
    if (seen_place_ == cursor.place) return;
    seen_place_ = cursor.place;
    ++stamp_;
    views_.clear();
    next_.clear();
    supply_steps_.clear();
    if (stamp_ == 0) {  // wrapped round: no old stamp may look like a new one
      for (std::size_t i = 0; i < view_of_.size(); ++i) view_of_[i] = Known{0, 0};
      stamp_ = 1;
      relaxed_ready_ = 0;
    }
  }

  const View<W>* look(i32 state, bool ask) {
    View<W> view{Mask<W>::none(), Mask<W>::none(), Mask<W>::none(), 0, 0};
    const std::size_t row = views_.size() * timeline_.slots;
    const std::size_t supply_row = supply_steps_.size();
    next_.resize(row + timeline_.slots, ILLEGAL);
    bool complete = true;
    for (i32 slot : cursor.order) {
      const i32 kind = timeline_.kind[cursor.at[slot]];
      const i32 after = find(state, kind, ask);
      next_[row + slot] = after;
      if (after == MISSING) {
        complete = false;
      } else if (after != ILLEGAL) {
        Mask<W>& where = timeline_.pure[kind] ? view.pure : after == state ? view.stays : view.legal;
        where.set(slot);
      }
    }
    for (i32 j = 0; j < cursor.known; ++j) {
      const i32 kind = timeline_.supplies[j];
      if (timeline_.blind[kind]) continue;
      const i32 after = find(state, kind, ask);
      if (after == MISSING) complete = false;
      if (after >= 0 && after != state) supply_steps_.push(Supplied{j, after});
    }
    if (!complete) {
      next_.truncate(row);
      supply_steps_.truncate(supply_row);
      return nullptr;
    }
    view.supply_first = static_cast<i32>(supply_row);
    view.supply_last = static_cast<i32>(supply_steps_.size());
    views_.push(view);
    view_of_[state] = Known{stamp_, static_cast<u32>(views_.size() - 1)};
    return &views_.back();
  }
  i32 find(i32 state, i32 kind, bool ask) {
    return ask ? transitions_.find_or_ask(state, kind) : transitions_.find(state, kind);
  }

  // A blind operation is about to have happened: all others that are open may have come before.
  void hide(Configuration<W>& c) const { c.optional = c.optional | cursor.blind.minus(c.done); }

  // Whether some operation becomes optional when the blind one in that slot (-1: in none) happens.
  bool hides(const Configuration<W>& c, i32 slot) const {
    Mask<W> others = cursor.blind.minus(c.done).minus(c.optional);
    if (slot >= 0) others.clear(slot);
    return others.any();
  }

  // Whether another open operation of the same class does what this one does, or better.
  bool superfluous(const Configuration<W>& c, i32 slot, bool blind) const {
    const Mask<W> left = cursor.earlier[slot].minus(c.done);
    if (left.minus(c.optional).any()) return true;
    return left.any() && (blind || c.optional.has(slot));
  }

  // Whether an operation that is not blind can come next.
  bool useful(const Configuration<W>& c) {
    const View<W>* there = view(c.state, false);
    if (there == nullptr) return true;
    if (there->supply_first < there->supply_last) return true;
    return (progress(c, *there) | there->legal.minus(cursor.blind).minus(c.done)).any();
  }
  // What settle() puts in order, blind operations apart.
  Mask<W> progress(const Configuration<W>& c, const View<W>& view) const {
    return (view.pure | view.stays.minus(cursor.blind).minus(c.optional)).minus(c.done);
  }
  bool enables(const Configuration<W>& c, i32 target) const {
    return transitions_.find(c.state, target) != ILLEGAL;
  }
  template <class Push>
  void spend(const Configuration<W>& c, i32 supply, i32 after, bool blind, i32 target, Push& push) {
    if (!relaxed_ && counts.of(c.spent, supply) >= cursor.available[supply]) return;
    Item<W> item{c, cursor.place, INNER | COMMITTED};
    item.at.state = after;
    if (blind) hide(item.at);
    if (!useful(item.at)) return;
    if (!relaxed_) item.at.spent = counts.plus_one(c.spent, supply);
    push(item, enables(item.at, target) ? SPENDS_WELL : SPENDS);
  }

  const Timeline& timeline_;
  Transitions& transitions_;
  const bool relaxed_;

 public:
  Counts counts;

 private:
  Array<View<W>> views_;
  Array<i32> next_;
  Array<Supplied> supply_steps_;
  Array<Known> view_of_;
  u32 stamp_ = 0;
  u32 relaxed_ready_ = 0;
  i32 seen_place_ = -1;
  mutable i64 comparisons_ = 0;
};

}  // namespace search
