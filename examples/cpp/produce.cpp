// c++ -std=c++17 examples/cpp/produce.cpp -Iinclude -Ltarget/release -lkafkalog -Wl,-rpath,$PWD/target/release -o produce && ./produce
#include <initializer_list>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kafkalog.h"

// Every handle ends with its scope.
template <auto end> struct Ender {
    template <class T> void operator()(T *handle) const { end(handle); }
};
using Conf = std::unique_ptr<kafkalog_conf_t, Ender<kafkalog_conf_destroy>>;
using Engine = std::unique_ptr<kafkalog_engine_t, Ender<kafkalog_engine_destroy>>;
using Producer = std::unique_ptr<kafkalog_producer_t, Ender<kafkalog_producer_destroy>>;
using Log = std::unique_ptr<kafkalog_log_t, Ender<kafkalog_log_destroy>>;
using Batch = std::unique_ptr<kafkalog_batch_t, Ender<kafkalog_batch_release>>;

static void check(kafkalog_code_t code) {
    if (code != 0) throw std::runtime_error(kafkalog_code_str(code));
}

// What a function of the library makes through its last pointer but one.
template <class Handle, class Make> static Handle made(Make make) {
    typename Handle::pointer handle = nullptr;
    check(make(&handle));
    return Handle(handle);
}

int main(int argc, char **argv) try {
    Conf conf(kafkalog_conf_new());
    check(kafkalog_conf_set(conf.get(), "log.dirs", argc > 1 ? argv[1] : "kafkalog-data", nullptr));
    auto engine = made<Engine>([&](auto out) { return kafkalog_engine_open(conf.get(), out, nullptr); });
    auto producer = made<Producer>(
        [&](auto out) { return kafkalog_producer_new(engine.get(), nullptr, nullptr, out, nullptr); });
    for (std::string_view order : {"two coffees", "one tea"}) {
        kafkalog_record_t record = KAFKALOG_RECORD_INIT;
        record.value = {order.data(), order.size()};
        check(kafkalog_producer_send(producer.get(), "orders", &record, sizeof record));
    }
    check(kafkalog_producer_flush(producer.get(), 5000));

    auto log = made<Log>([&](auto out) { return kafkalog_log_open(engine.get(), "orders", 0, out, nullptr); });
    auto batch = made<Batch>([&](auto out) { return kafkalog_log_read(log.get(), 0, 1 << 20, 1000, out); });
    size_t count = 0;
    const kafkalog_view_t *views = kafkalog_batch_views(batch.get(), &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = static_cast<const char *>(views[i].value);
        std::cout << views[i].offset << ": " << std::string_view(value, static_cast<size_t>(views[i].value_len)) << "\n";
    }
} catch (const std::exception &failure) {
    std::cerr << failure.what() << "\n";
    return 1;
}
