// A graph that grows, in a topological order, and clocks that spread along it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace saturation {

using i32 = std::int32_t;

constexpr std::size_t at(i32 number) { return static_cast<std::size_t>(number); }

// Edges one way: those known at first one after another, those that came later in lists.
class Adjacent {
 public:
  void fill(i32 vertices, const i32* source, const i32* target, std::size_t count) {
    first_.assign(at(vertices) + 1, 0);
    for (std::size_t i = 0; i < count; ++i) ++first_[at(source[i]) + 1];
    for (std::size_t v = 0; v < at(vertices); ++v) first_[v + 1] += first_[v];
    known_.resize(count);
    std::vector<std::size_t> slot(first_.begin(), first_.end() - 1);
    for (std::size_t i = 0; i < count; ++i) known_[slot[at(source[i])]++] = target[i];
    head_.assign(at(vertices), -1);
  }
  void add(i32 source, i32 target) {
    later_.push_back({target, head_[at(source)]});
    head_[at(source)] = static_cast<i32>(later_.size()) - 1;
  }
  template <class Visit>
  void each(i32 vertex, Visit visit) const {
    const std::size_t v = at(vertex);
    for (std::size_t e = first_[v]; e < first_[v + 1]; ++e) visit(known_[e]);
    for (i32 e = head_[v]; e >= 0; e = later_[at(e)].next) visit(later_[at(e)].target);
  }

 private:
  struct Later {
    i32 target, next;
  };
  std::vector<std::size_t> first_;
  std::vector<i32> known_, head_;
  std::vector<Later> later_;
};

// Vertices in an order that agrees with all edges. What an edge contradicts is sorted again, and
// nothing else: a cycle through such edges lies within the places that they span.
class Order {
 public:
  void fill(i32 vertices, const i32* source, const i32* target, std::size_t count) {
    out.fill(vertices, source, target, count);
    in.fill(vertices, target, source, count);
    places.resize(at(vertices));
    for (i32 v = 0; v < vertices; ++v) places[at(v)] = v;
    position_ = places;
    missing_.assign(at(vertices), 0);
    if (vertices > 0) spans_.push_back({0, vertices});
  }
  void add(i32 source, i32 target) {
    out.add(source, target);
    in.add(target, source);
    const i32 low = position_[at(target)], high = position_[at(source)];
    if (low <= high) spans_.push_back({low, high + 1});
  }
  // False: there is a cycle.
  bool sort() {
    std::sort(spans_.begin(), spans_.end());
    for (std::size_t i = 0; i < spans_.size();) {
      auto [low, high] = spans_[i++];
      while (i < spans_.size() && spans_[i].first < high) high = std::max(high, spans_[i++].second);
      if (!sort(low, high)) return false;
    }
    spans_.clear();
    return true;
  }

  Adjacent out, in;
  std::vector<i32> places;  // the vertices, in this order

 private:
  // No edge leads from between these places to a place before them.
  bool sort(i32 low, i32 high) {
    const auto inside = [&](i32 vertex) { return position_[at(vertex)] < high; };
    for (i32 place = low; place < high; ++place) {
      out.each(places[at(place)], [&](i32 to) { missing_[at(to)] += inside(to); });
    }
    sorted_.clear();
    for (i32 place = low; place < high; ++place) {
      if (missing_[at(places[at(place)])] == 0) sorted_.push_back(places[at(place)]);
    }
    for (std::size_t next = 0; next < sorted_.size(); ++next) {
      out.each(sorted_[next], [&](i32 to) {
        if (inside(to) && --missing_[at(to)] == 0) sorted_.push_back(to);
      });
    }
    if (sorted_.size() != at(high - low)) return false;
    for (i32 place = low; place < high; ++place) {
      places[at(place)] = sorted_[at(place - low)];
      position_[at(places[at(place)])] = place;
    }
    return true;
  }

  std::vector<i32> position_, missing_, sorted_;
  std::vector<std::pair<i32, i32>> spans_;
};

struct Latest {
  static i32 of(i32 a, i32 b) { return a > b ? a : b; }
};

struct Earliest {
  static i32 of(i32 a, i32 b) { return a < b ? a : b; }
};

// A clock for each vertex: a number for each chain.
template <class Join>
class Clocks {
 public:
  void fill(i32 vertices, i32 chains, i32 nothing) {
    width_ = (at(chains) + LANES - 1) / LANES * LANES;
    clocks_.assign(at(vertices) * width_, nothing);
    moved.assign(at(vertices), 1);
    changed.assign(at(vertices), 1);
  }
  i32* operator[](i32 vertex) { return clocks_.data() + at(vertex) * width_; }
  const i32* operator[](i32 vertex) const { return clocks_.data() + at(vertex) * width_; }

  // Joins the clock of each vertex that moved into the clocks of its neighbours, which move then.
  template <class Places>
  void spread(const Places begin, const Places end, const Adjacent& edges) {
    for (Places place = begin; place != end; ++place) {
      if (!moved[at(*place)]) continue;
      moved[at(*place)] = 0;
      const i32* mine = (*this)[*place];
      edges.each(*place, [&](i32 to) {
        if (join(mine, (*this)[to])) moved[at(to)] = changed[at(to)] = 1;
      });
    }
  }

  std::vector<unsigned char> moved;    // since it was spread
  std::vector<unsigned char> changed;  // since somebody looked

 private:
  static constexpr std::size_t LANES = 4;  // the compiler takes so many at a time

  bool join(const i32* __restrict from, i32* __restrict into) const {
    i32 differs = 0;
    for (std::size_t c = 0; c < width_; c += LANES) {
      for (std::size_t lane = c; lane < c + LANES; ++lane) {
        const i32 joined = Join::of(from[lane], into[lane]);
        differs |= joined ^ into[lane];
        into[lane] = joined;
      }
    }
    return differs != 0;
  }

  std::size_t width_ = 0;
  std::vector<i32> clocks_;
};

}  // namespace saturation
