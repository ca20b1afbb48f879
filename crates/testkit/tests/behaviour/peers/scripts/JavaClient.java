// Java's HttpClient on a tour of the gateway: BASE CA BIG SHA256.
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.HexFormat;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class JavaClient {
    static String base;
    static HttpClient client;
    static HttpClient.Version expected;

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        // By default a client offers an upgrade in its first request without TLS, which the gateway
        // does not take, and HTTP/2 within TLS, which it does.
        for (var version : HttpClient.Version.values()) {
            client = HttpClient.newBuilder()
                .version(version)
                .followRedirects(HttpClient.Redirect.NORMAL)
                .sslContext(trusting(arguments[1]))
                .build();
            expected = base.startsWith("https") ? version : HttpClient.Version.HTTP_1_1;
            tour(Path.of(arguments[2]), arguments[3]);
        }
    }

    static void tour(Path big, String hash) throws Exception {
        for (int i = 0; i < 10; i++) {
            var reply = send(request("/length"));
            same(reply.statusCode(), 200);
            same(reply.version(), expected);
            same(text(reply), "one two three");
        }
        for (var path : List.of("/chunked", "/close", "/trailers", "/found", "/moved")) {
            same(text(send(request(path))), "one two three");
        }
        var head = send(request("/length").method("HEAD", BodyPublishers.noBody()));
        same(head.headers().firstValue("content-length").get(), "13");
        same(send(request("/empty")).statusCode(), 204);
        same(send(request("/length").header("If-None-Match", "\"v1\"")).statusCode(), 304);
        same(send(request("/missing")).statusCode(), 404);

        var hello = sha256("hello".getBytes());
        for (var path : List.of("/upload", "/again", "/moved-upload")) {
            same(post(path, BodyPublishers.ofString("hello")), hello);
        }
        // A stream has no length, so that it is sent in chunks.
        same(post("/upload", BodyPublishers.ofInputStream(() -> new ByteArrayInputStream("hello".getBytes()))), hello);

        same(sha256(send(request("/big")).body()), hash);
        same(post("/upload", BodyPublishers.ofFile(big)), hash);
        var continued = request("/upload").expectContinue(true).POST(BodyPublishers.ofFile(big));
        same(text(send(continued)), hash);
    }

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(base + path));
    }

    static HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
        return client.send(request.build(), BodyHandlers.ofByteArray());
    }

    static String post(String path, BodyPublisher body) throws Exception {
        return text(send(request(path).POST(body)));
    }

    static String text(HttpResponse<byte[]> reply) {
        return new String(reply.body());
    }

    static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    static void same(Object got, Object expected) {
        if (!got.equals(expected)) throw new AssertionError(got + " instead of " + expected);
    }

    static SSLContext trusting(String ca) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (var file = new FileInputStream(ca)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}
