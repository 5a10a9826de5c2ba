// Static objects of each kind, more than one block of static_objects.c has room for, that record their end.
#include <utility>
#include <vector>

namespace {

std::vector<int>* ended = nullptr;

struct Noted {
  explicit Noted(int number) : number_(number) {}
  Noted(const Noted&) = delete;
  Noted& operator=(const Noted&) = delete;
  ~Noted() {
    if (ended != nullptr) ended->push_back(number_);
  }

 private:
  int number_;
};

template <int N>
void make_local() {
  static const Noted local(N);
}

template <int... N>
void make_locals(std::integer_sequence<int, N...>) {
  (make_local<N + 2>(), ...);
}

void make_late() { static const Noted late(99); }

// Ends by making one more.
struct MakesAnother {
  MakesAnother() = default;
  MakesAnother(const MakesAnother&) = delete;
  MakesAnother& operator=(const MakesAnother&) = delete;
  ~MakesAnother() {
    if (ended != nullptr) make_late();
  }
};

const Noted global_0(0);
const MakesAnother makes_another;
const Noted global_1(1);

}  // namespace

/// Makes the static objects of functions, numbered from 2; from now on each that ends adds its number to `record`.
extern "C" __attribute__((visibility("default"))) void record_ends(std::vector<int>* record) {
  ended = record;
  make_locals(std::make_integer_sequence<int, 70>());
}
