// A column that grows, and is given to Python as it stands.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#ifdef __linux__
#include <sys/mman.h>
#endif

// New memory is dear: a page that is touched first is cleared, and a guest asks its host for it. So
// nothing is copied: where realloc moves pages, as that of Linux does, not even while it grows.
template <typename T>
class Growing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Growing() = default;
  ~Growing() { std::free(items_); }
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;

  void push(T item) {
    if (size_ == room_) grow();
    items_[size_++] = item;
  }
  std::size_t size() const { return size_; }
  // What std::free is to free; nothing is left here. Null if there is nothing.
  T* release() {
    T* items = static_cast<T*>(size_ == 0 ? nullptr : std::realloc(items_, size_ * sizeof(T)));
    if (items == nullptr) items = items_;
    items_ = nullptr;
    size_ = room_ = 0;
    return items;
  }

 private:
  static constexpr std::size_t FIRST = 1 << 10, LARGE = 1 << 22, PAGE = 1 << 12;  // bytes

  void grow() {
    const std::size_t room = std::max(FIRST / sizeof(T), room_ + room_ / 2);
    if (room > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
    T* items = static_cast<T*>(std::realloc(items_, room * sizeof(T)));
    if (items == nullptr) throw std::bad_alloc();
    items_ = items;
    room_ = room;
#ifdef __linux__
    const std::size_t bytes = room * sizeof(T);
    if (bytes >= LARGE) {
      // On large pages, as NumPy does; refused where there are none. Whole pages, or realloc could
      // not move them: they would be of two kinds.
      const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(items) & ~(PAGE - 1);
      const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(items) + bytes;
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
    }
#endif
  }

  T* items_ = nullptr;
  std::size_t size_ = 0, room_ = 0;
};
