//! The private RabbitMQ itself.

use omnigate_servers::rabbitmq::RabbitMq;

#[tokio::test]
async fn it_is_controlled_killed_and_restarted() {
    let Some(mut rabbitmq) = RabbitMq::start().await else {
        return;
    };
    let id = rabbitmq.control(&["eval", "os:getpid()."]).await.unwrap();
    assert_eq!(id.trim_matches('"'), rabbitmq.pid().unwrap().to_string());
    let url = rabbitmq.virtual_host("own").await.unwrap();
    assert!(url.ends_with("/own"));
    rabbitmq.close_all_connections().await.unwrap();
    rabbitmq.kill9();
    assert_eq!(rabbitmq.pid(), None);
    rabbitmq.restart().await.unwrap();
    let hosts = rabbitmq.control(&["list_vhosts"]).await.unwrap();
    assert!(hosts.contains("own"), "{hosts}");
}
