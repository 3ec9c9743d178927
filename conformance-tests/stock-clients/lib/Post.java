import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/**
 * Java's two clients.
 *
 * <p>usage: java Post CLIENT JOB..., with a JOB as URL BYTES NAME:VALUE,..., separated by tabs. Prints
 * a line for each: the status of the response, or the error.
 */
final class Post {
    public static void main(String[] args) {
        // Otherwise HttpURLConnection omits `Origin`.
        System.setProperty("sun.net.http.allowRestrictedHeaders", "true");
        for (int n = 1; n < args.length; n += 1) {
            String[] job = args[n].split("\t");
            String[] headers = job[2].split("[:,](?!//)");
            byte[] body = new byte[Integer.parseInt(job[1])];
            try {
                boolean old = args[0].equals("HttpURLConnection");
                System.out.println(old ? byConnection(job[0], headers, body) : byClient(job[0], headers, body));
            } catch (IOException | InterruptedException error) {
                System.out.println(error);
            }
        }
    }

    private static int byConnection(String url, String[] headers, byte[] body) throws IOException {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod("POST");
        for (int n = 0; n < headers.length; n += 2) {
            connection.setRequestProperty(headers[n], headers[n + 1]);
        }
        connection.setDoOutput(true);
        connection.setFixedLengthStreamingMode(body.length);
        try (var out = connection.getOutputStream()) {
            out.write(body);
        }
        return connection.getResponseCode();
    }

    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private static int byClient(String url, String[] headers, byte[] body) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(url)).headers(headers);
        var post = request.POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        return CLIENT.send(post, HttpResponse.BodyHandlers.ofString()).statusCode();
    }
}
