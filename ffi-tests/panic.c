/* A bug of ours (planted by the feature ffi-panic-injection) ends the engine and nothing else. */
#include "check.h"

kafkalog_code_t kafkalog_test_panic(kafkalog_engine_t *e);

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_queue_t *main_queue = kafkalog_engine_queue(e);
    kafkalog_producer_t *p = NULL;
    kafkalog_error_t *err = NULL;
    kafkalog_event_t *ev;
    kafkalog_record_t r = record_of("k", "v", 0);

    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL));
    OK(kafkalog_producer_new(e, NULL, NULL, &p, NULL));
    CODE(KAFKALOG_ERR__PANIC, kafkalog_test_panic(e));
    CODE(KAFKALOG_ERR__PANIC, kafkalog_engine_fatal_error(e, &err));
    CHECK(kafkalog_error_is_fatal(err) && !kafkalog_error_is_retriable(err));
    CHECK(strstr(kafkalog_error_message(err), "on purpose") != NULL);
    kafkalog_error_destroy(err);
    CODE(KAFKALOG_ERR__FATAL, kafkalog_producer_send(p, "t", &r, sizeof r));
    CODE(KAFKALOG_ERR__FATAL, kafkalog_topic_create(e, "u", 1, 1, NULL, 5000, &err));
    CHECK(kafkalog_error_is_fatal(err));
    kafkalog_error_destroy(err);
    CODE(KAFKALOG_ERR__PANIC, kafkalog_test_panic(e));

    ev = kafkalog_queue_poll(main_queue, 0);
    CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_ERROR && kafkalog_event_code(ev) == KAFKALOG_ERR__PANIC);
    kafkalog_event_destroy(ev);
    CHECK(kafkalog_queue_poll(main_queue, 0) == NULL);

    OK(kafkalog_engine_close(e, 10000, NULL));
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(main_queue);
    kafkalog_engine_destroy(e);

    /* the directory is as good as before */
    e = open_engine(argc > 1 ? argv[1] : "");
    OK(kafkalog_topic_delete(e, "t", 5000, NULL));
    kafkalog_engine_destroy(e);
    return 0;
}
