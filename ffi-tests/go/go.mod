module kafkalog/ffi-tests

go 1.19
