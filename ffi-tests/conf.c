/* Settings: known names only, legal values only, copies that go their own way. */
#include "check.h"

static int contains(kafkalog_buf_t *buf, const char *text) { return strstr(kafkalog_buf_data(buf), text) != NULL; }

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "";
    kafkalog_conf_t *conf = kafkalog_conf_new(), *copy, *secret = kafkalog_conf_new();
    kafkalog_error_t *err = NULL;
    kafkalog_buf_t *buf = NULL;
    kafkalog_engine_t *e = NULL;
    kafkalog_producer_t *p = NULL;
    kafkalog_consumer_t *c = NULL;

    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_conf_set(conf, "linger_ms", "1", &err));
    CHECK(strstr(kafkalog_error_message(err), "linger.ms") != NULL);
    CHECK(kafkalog_error_code(err) == KAFKALOG_ERR_INVALID_CONFIG && !kafkalog_error_is_retriable(err)
          && !kafkalog_error_is_fatal(err));
    kafkalog_error_destroy(err);
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_conf_set(conf, "acks", "2", NULL));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_conf_set(conf, "acks", "\xff\xfe", NULL));

    OK(kafkalog_conf_get(conf, "linger.ms", &buf));
    CHECK(strcmp(kafkalog_buf_data(buf), "5") == 0 && kafkalog_buf_len(buf) == 1);
    kafkalog_buf_destroy(buf);
    OK(kafkalog_conf_set(conf, "linger.ms", "7", &err));
    CHECK(err == NULL);
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_conf_get(conf, "no.such.name", &buf));
    CHECK(buf == NULL);

    copy = kafkalog_conf_dup(conf);
    OK(kafkalog_conf_set(conf, "linger.ms", "8", NULL));
    OK(kafkalog_conf_get(copy, "linger.ms", &buf));
    CHECK(strcmp(kafkalog_buf_data(buf), "7") == 0);
    kafkalog_buf_destroy(buf);

    OK(kafkalog_conf_describe(conf, &buf));
    CHECK(contains(buf, "\"log.dirs\"") && contains(buf, "\"value\":\"8\"") && contains(buf, "\"scope\":\"consumer\""));
    kafkalog_buf_destroy(buf);
    OK(kafkalog_conf_describe(NULL, &buf));
    CHECK(!contains(buf, "\"value\""));
    kafkalog_buf_destroy(buf);

    /* a secret goes in and never comes out */
    OK(kafkalog_conf_set(secret, "cluster.secret", "open sesame", NULL));
    OK(kafkalog_conf_get(secret, "cluster.secret", &buf));
    CHECK(strcmp(kafkalog_buf_data(buf), "[hidden]") == 0);
    kafkalog_buf_destroy(buf);
    OK(kafkalog_conf_describe(secret, &buf));
    CHECK(contains(buf, "[hidden]") && !contains(buf, "sesame"));
    kafkalog_buf_destroy(buf);
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_conf_set(secret, "cluster.secret", "open\nsesame", &err));
    CHECK(strstr(kafkalog_error_message(err), "sesame") == NULL);
    kafkalog_error_destroy(err);

    /* certificates are paths to PEM files, which are looked at when the engine opens */
    OK(kafkalog_conf_set(secret, "ssl.keystore.location", "/no/such/node.pem", NULL));
    OK(kafkalog_conf_get(secret, "ssl.keystore.location", &buf));
    CHECK(strcmp(kafkalog_buf_data(buf), "/no/such/node.pem") == 0);
    kafkalog_buf_destroy(buf);
    OK(kafkalog_conf_set(secret, "ssl.keystore.type", "PEM", NULL));
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_conf_set(secret, "ssl.keystore.type", "JKS", NULL));
    OK(kafkalog_conf_set(secret, "log.dirs", dir, NULL));
    OK(kafkalog_conf_set(secret, "node.id", "1", NULL));
    OK(kafkalog_conf_set(secret, "listeners", "tls://127.0.0.1:0", NULL));
    OK(kafkalog_conf_set(secret, "controller.quorum.voters", "1@tls://127.0.0.1:1", NULL));
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_engine_open(secret, &e, &err));
    CHECK(e == NULL && strstr(kafkalog_error_message(err), "ssl.truststore.location") != NULL);
    kafkalog_error_destroy(err);
    /* without the cargo feature the error says so, with it that there is no such file */
    OK(kafkalog_conf_set(secret, "ssl.truststore.location", "/no/such/ca.pem", NULL));
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_engine_open(secret, &e, &err));
    CHECK(e == NULL && strstr(kafkalog_error_message(err), "ssl.keystore.location") != NULL);
    kafkalog_error_destroy(err);
    kafkalog_conf_destroy(secret);

    /* no directory, then one; settings of producers and consumers become the engine's defaults for them */
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_engine_open(conf, &e, &err));
    CHECK(e == NULL && strstr(kafkalog_error_message(err), "log.dirs") != NULL);
    kafkalog_error_destroy(err);
    OK(kafkalog_conf_set(conf, "log.dirs", dir, NULL));
    OK(kafkalog_conf_set(conf, "max.poll.records", "3", NULL));
    OK(kafkalog_conf_set(conf, "log.segment.bytes", "65536", NULL));
    OK(kafkalog_engine_open(conf, &e, NULL));
    OK(kafkalog_producer_new(e, NULL, NULL, &p, NULL));
    OK(kafkalog_consumer_new(e, copy, NULL, &c, &err) == KAFKALOG_ERR_INVALID_CONFIG ? 0 : 1);
    CHECK(c == NULL && strstr(kafkalog_error_message(err), "linger.ms") != NULL);
    kafkalog_error_destroy(err);

    /* a topic setting is none of the engine's, and says so */
    kafkalog_conf_destroy(conf);
    conf = conf_for(dir);
    OK(kafkalog_conf_set(conf, "retention.ms", "1000", NULL));
    {
        kafkalog_engine_t *second = e;
        CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_engine_open(conf, &second, &err));
        CHECK(second == NULL && strstr(kafkalog_error_message(err), "log.retention.ms") != NULL);
        kafkalog_error_destroy(err);
    }
    /* one directory, one engine */
    kafkalog_conf_destroy(conf);
    conf = conf_for(dir);
    {
        kafkalog_engine_t *second = e;
        CODE(KAFKALOG_ERR__STATE, kafkalog_engine_open(conf, &second, &err));
        CHECK(second == NULL);
        kafkalog_error_destroy(err);
    }

    kafkalog_producer_destroy(p);
    kafkalog_engine_destroy(e);
    kafkalog_conf_destroy(copy);
    kafkalog_conf_destroy(conf);
    return 0;
}
