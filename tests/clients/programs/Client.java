// Java's HttpClient, from 11 on. Usage: BASE NAME FILE; prints the answers as JSON.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

public class Client {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static String ask(HttpRequest.Builder request) throws Exception {
        var answer = CLIENT.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
        return answer.body();
    }

    static HttpRequest.Builder to(String url) {
        return HttpRequest.newBuilder(URI.create(url));
    }

    public static void main(String[] words) throws Exception {
        String base = words[0], name = words[1];
        var get = ask(to(base + "/v1/item?q=one"));
        var post = ask(to(base + "/v1/echo").POST(BodyPublishers.ofString("hello there")));
        var upload = ask(to(base + "/v1/upload").POST(BodyPublishers.ofFile(Path.of(words[2]))));
        var answer = CLIENT.send(to(base + "/v1/stream").build(), BodyHandlers.ofLines());
        List<String> stream = new ArrayList<>();
        for (var line : (Iterable<String>) answer.body()::iterator) {
            if (!line.startsWith("data: ")) continue;
            stream.add("\"" + line.substring(6) + "\"");
            if (line.equals("data: 0")) ask(to(base + "/v1/item?q=seen-" + name));
        }
        var version = answer.version() == HttpClient.Version.HTTP_2 ? "2" : "1.1";
        System.out.printf("{\"get\": %s, \"post\": %s, \"upload\": %s, \"stream\": %s, \"http\": \"%s\", \"websocket\": \"%s\"}%n",
            get, post, upload, stream, version, echoed(base.replaceFirst("https", "wss") + "/v1/socket"));
    }

    static String echoed(String url) throws Exception {
        var got = new CompletableFuture<String>();
        var socket = CLIENT.newWebSocketBuilder().buildAsync(URI.create(url), new WebSocket.Listener() {
            @Override public CompletionStage<?> onText(WebSocket socket, CharSequence text, boolean last) {
                got.complete(text.toString());
                return null;
            }
            @Override public void onError(WebSocket socket, Throwable error) {
                got.completeExceptionally(error);
            }
        }).get(30, TimeUnit.SECONDS);
        socket.request(1);
        socket.sendText("hello", true);
        var text = got.get(30, TimeUnit.SECONDS);
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(30, TimeUnit.SECONDS);
        return text;
    }
}
