module kafkalog/examples

go 1.19
