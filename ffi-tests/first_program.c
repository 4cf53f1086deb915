/* The first program that somebody writes: send, hear of the delivery, read without copying. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "kafkalog.h"

static int die(const char *what, kafkalog_code_t c, kafkalog_error_t *e) {
  fprintf(stderr, "%s: %s: %s\n", what, kafkalog_code_name(c), e ? kafkalog_error_message(e) : "");
  kafkalog_error_destroy(e);
  return 1;
}
int main(int argc, char **argv) {
  kafkalog_error_t *err = NULL; kafkalog_engine_t *eng; kafkalog_producer_t *p; kafkalog_log_t *lg; kafkalog_batch_t *b;
  kafkalog_conf_t *conf = kafkalog_conf_new();
  kafkalog_code_t c = kafkalog_conf_set(conf, "log.dirs", argc > 1 ? argv[1] : "/tmp/kl", &err);
  if (!c) c = kafkalog_engine_open(conf, &eng, &err);
  kafkalog_conf_destroy(conf);
  if (c) return die("open", c, err);
  c = kafkalog_topic_create(eng, "t", 1, 1, NULL, 5000, NULL);
  if (c && c != 36) return die("create", c, NULL);
  kafkalog_queue_t *q = kafkalog_queue_new(eng);
  if ((c = kafkalog_producer_new(eng, NULL, q, &p, &err))) return die("producer", c, err);
  kafkalog_record_t r; memset(&r, 0, sizeof r);
  r.value.data = "hello"; r.value.len = 5; r.timestamp_ms = -1; r.tag = 7;
  if ((c = kafkalog_producer_send(p, "t", &r, sizeof r))) return die("send", c, NULL);
  kafkalog_event_t *ev = kafkalog_queue_poll(q, 5000); size_t n, i;
  const kafkalog_delivery_t *d = kafkalog_event_deliveries(ev, &n);
  for (i = 0; i < n; i++) printf("tag %" PRIu64 " at %" PRId64 " code %d\n", d[i].tag, d[i].offset, (int)d[i].code);
  kafkalog_event_destroy(ev);
  if (!kafkalog_log_open(eng, "t", 0, &lg, NULL) && !kafkalog_log_read(lg, 0, 1 << 20, 100, &b)) {
    const kafkalog_view_t *v = kafkalog_batch_views(b, &n);
    for (i = 0; i < n; i++) printf("%" PRId64 ": %.*s\n", v[i].offset, (int)v[i].value_len, (const char *)v[i].value);
    kafkalog_batch_release(b); kafkalog_log_destroy(lg);
  }
  kafkalog_producer_destroy(p); kafkalog_queue_destroy(q);
  c = kafkalog_engine_close(eng, 10000, NULL); kafkalog_engine_destroy(eng);
  return c != 0;
}
